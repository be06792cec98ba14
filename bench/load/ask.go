package main

import (
	"bufio"
	"encoding/binary"
	"flag"
	"os"
	"os/signal"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// An exchange is one request. Times are nanoseconds since the epoch; `due` is when it was to be sent.
type exchange struct {
	due, sent, ended int64
	by               string // who answered
	problem          string
}

type failure struct {
	Sent    int64  `json:"sent"`
	Ended   int64  `json:"ended"`
	Problem string `json:"problem"`
}

type summary struct {
	Began    int64              `json:"began"`
	Seconds  float64            `json:"seconds"`
	Asked    int                `json:"asked"`
	PerS     float64            `json:"per_s"`
	Ms       map[string]float64 `json:"ms"`
	Answers  map[string]int     `json:"answers"`
	Failed   int                `json:"failed"`
	Failures []failure          `json:"failures"`
}

type load struct {
	to, path    string
	rate        float64
	connections int
	duration    time.Duration
	over        int32
}

// ask makes requests at a fixed rate, each at its own time whatever became of those before, as independent users would.
// Latency counts from when a request was due: a stall costs all that were due meanwhile. Rate 0: one after the other.
// SIGTERM ends it early, with a report of what there is.
func ask(arguments []string) error {
	var l load
	flags := flag.NewFlagSet("ask", flag.ExitOnError)
	flags.StringVar(&l.to, "to", "", "address:port")
	flags.StringVar(&l.path, "path", "/", "what to ask for")
	flags.Float64Var(&l.rate, "rate", 0, "requests a second, 0: as many as possible")
	flags.IntVar(&l.connections, "connections", 64, "kept-alive connections, over which the requests are spread")
	flags.DurationVar(&l.duration, "for", 10*time.Second, "how long")
	log := flags.String("log", "", "file for every exchange: sent and ended in ns, index of who answered; 24 bytes each")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	go func() {
		<-told
		atomic.StoreInt32(&l.over, 1)
	}()
	began, all := l.run()
	made := summarize(began, all)
	if *log != "" {
		if err := write(*log, all, made.Answers); err != nil {
			return err
		}
	}
	return report(made)
}

func (l *load) run() (time.Time, []exchange) {
	clients := make([]*client, l.connections)
	for i := range clients {
		clients[i] = newClient(l.to, l.path, "")
		if err := clients[i].connect(); err != nil {
			clients[i].close() // what it costs shows in its first request
		}
	}
	began := time.Now().Add(20 * time.Millisecond)
	results := make([][]exchange, l.connections)
	var group sync.WaitGroup
	for i, c := range clients {
		group.Add(1)
		go func(i int, c *client) {
			defer group.Done()
			results[i] = l.user(c, began, i)
		}(i, c)
	}
	group.Wait()
	var all []exchange
	for i, result := range results {
		clients[i].close()
		all = append(all, result...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].sent < all[j].sent })
	return began, all
}

func (l *load) user(c *client, began time.Time, number int) []exchange {
	end := began.Add(l.duration)
	late := end.Add(patience).UnixNano() // what is due and has not been sent by then never is
	period, offset := time.Duration(0), time.Duration(0)
	if l.rate > 0 {
		period = time.Duration(float64(l.connections) / l.rate * float64(time.Second))
		offset = period * time.Duration(number) / time.Duration(l.connections)
	}
	names := map[string]string{}
	made := make([]exchange, 0, 1024)
	due := began.Add(offset)
	for due.Before(end) && atomic.LoadInt32(&l.over) == 0 {
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		made = append(made, once(c, due, names))
		if made[len(made)-1].ended > late {
			break
		}
		if due = due.Add(period); l.rate == 0 {
			due = time.Now()
		}
	}
	return made
}

func once(c *client, due time.Time, names map[string]string) exchange {
	sent := time.Now()
	body, err := c.ask()
	one := exchange{due: due.UnixNano(), sent: sent.UnixNano(), ended: time.Now().UnixNano()}
	if err != nil {
		one.problem = err.Error()
		return one
	}
	name, known := names[string(body)]
	if !known {
		name = string(body)
		names[name] = name
	}
	one.by = name
	return one
}

func summarize(began time.Time, all []exchange) summary {
	made := summary{Began: began.UnixNano(), Asked: len(all), Answers: map[string]int{}, Failures: []failure{}}
	last := made.Began
	waits := make([]int64, 0, len(all))
	for _, one := range all {
		if one.ended > last {
			last = one.ended
		}
		if one.problem != "" {
			made.Failed++
			if len(made.Failures) < 100_000 {
				made.Failures = append(made.Failures, failure{one.sent, one.ended, one.problem})
			}
			continue
		}
		made.Answers[one.by]++
		waits = append(waits, one.ended-one.due)
	}
	made.Seconds = float64(last-made.Began) / 1e9
	made.PerS = float64(len(waits)) / made.Seconds
	made.Ms = percentiles(waits)
	return made
}

func percentiles(waits []int64) map[string]float64 {
	sort.Slice(waits, func(i, j int) bool { return waits[i] < waits[j] })
	found := map[string]float64{}
	for name, share := range map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1} {
		if len(waits) > 0 {
			found[name] = float64(waits[int(share*float64(len(waits)-1))]) / 1e6
		}
	}
	return found
}

// write gives those who answered their index in the order of their names; -1 is a failure.
func write(path string, all []exchange, answers map[string]int) error {
	names := make([]string, 0, len(answers))
	for name := range answers {
		names = append(names, name)
	}
	sort.Strings(names)
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	buffer := bufio.NewWriter(file)
	for _, one := range all {
		index := int64(sort.SearchStrings(names, one.by))
		if one.problem != "" {
			index = -1
		}
		if err := binary.Write(buffer, binary.LittleEndian, [3]int64{one.sent, one.ended, index}); err != nil {
			return err
		}
	}
	return buffer.Flush()
}
