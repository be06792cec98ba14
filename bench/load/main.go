// Command load makes requests at a fixed rate, answers them, or holds connections, and reports as JSON.
//
// It speaks plain HTTP/1.1 over sockets of its own: on a small machine every microsecond that a richer client takes is
// one that the measured program doesn't get.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
)

func main() {
	// One thread of Go code: a second one would spend the measured program's cores on looking for work.
	runtime.GOMAXPROCS(1)
	modes := map[string]func([]string) error{"ask": ask, "serve": serve, "hold": hold}
	mode := func([]string) error { return fmt.Errorf("usage: load ask|serve|hold [flags]") }
	arguments := os.Args[1:]
	if len(arguments) > 0 && modes[arguments[0]] != nil {
		mode, arguments = modes[arguments[0]], arguments[1:]
	}
	if err := mode(arguments); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func report(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
