package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net"
	"time"
)

// serve answers every request with the name of who was asked, until it is killed.
func serve(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	after := flags.Duration("after", 0, "time that an answer takes")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	for _, one := range flags.Args() { // name=address:port
		name, at, _ := bytes.Cut([]byte(one), []byte("="))
		listener, err := net.Listen("tcp", string(at))
		if err != nil {
			return err
		}
		answer := []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", len(name), name))
		go accept(listener, answer, *after)
	}
	if err := report(map[string]any{"ready": flags.Args()}); err != nil {
		return err
	}
	select {}
}

func accept(listener net.Listener, answer []byte, after time.Duration) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		go answerAll(conn, answer, after)
	}
}

// answerAll reads requests without a body, one after the other.
func answerAll(conn net.Conn, answer []byte, after time.Duration) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 2048)
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(bytes.TrimSpace(line)) > 0 {
			continue
		}
		if after > 0 {
			time.Sleep(after)
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}
