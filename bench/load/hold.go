package main

import (
	"bufio"
	"flag"
	"os"
)

// hold opens connections, makes one request on each, and keeps them idle until its input has a line. Then it makes one
// more on each: `alive` says how many were still there, `problem` what became of the first that was not.
func hold(arguments []string) error {
	flags := flag.NewFlagSet("hold", flag.ExitOnError)
	to := flags.String("to", "", "address:port")
	from := flags.String("from", "127.0.0.1", "the address to come from; one has about 28,000 ports")
	count := flags.Int("connections", 1000, "how many")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	clients := make([]*client, 0, *count)
	problem := ""
	for len(clients) < *count && problem == "" {
		c := newClient(*to, "/", *from)
		if _, err := c.ask(); err != nil {
			problem = err.Error()
			break
		}
		clients = append(clients, c)
	}
	if err := report(map[string]any{"held": len(clients), "problem": problem}); err != nil {
		return err
	}
	bufio.NewReader(os.Stdin).ReadString('\n')
	alive, lost := 0, ""
	for _, c := range clients {
		if _, err := c.askAgain(); err == nil {
			alive++
		} else if lost == "" {
			lost = err.Error()
		}
		c.close()
	}
	return report(map[string]any{"alive": alive, "problem": lost})
}

// askAgain never connects: a connection that was lost stays lost.
func (c *client) askAgain() ([]byte, error) {
	if c.conn == nil {
		return nil, os.ErrClosed
	}
	return c.ask()
}
