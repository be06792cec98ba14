package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const patience = 10 * time.Second

// client is one kept-alive connection, made when it is needed.
type client struct {
	dialer  net.Dialer
	to      string
	request []byte
	conn    net.Conn
	reader  *bufio.Reader
}

func newClient(to, path, from string) *client {
	made := &client{to: to, dialer: net.Dialer{Timeout: patience}}
	made.request = []byte(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, to))
	if from != "" {
		made.dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return made
}

func (c *client) connect() error {
	if c.conn != nil {
		return nil
	}
	conn, err := c.dialer.Dial("tcp", c.to)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c.conn, c.reader = conn, bufio.NewReaderSize(conn, 1024)
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// ask sends one request and returns the body of its answer. Whatever is not a 200 is an error.
func (c *client) ask() ([]byte, error) {
	if err := c.connect(); err != nil {
		return nil, err
	}
	c.conn.SetDeadline(time.Now().Add(patience))
	body, keep, err := c.exchange()
	if err != nil || !keep {
		c.close()
	}
	return body, err
}

func (c *client) exchange() (body []byte, keep bool, err error) {
	if _, err := c.conn.Write(c.request); err != nil {
		return nil, false, err
	}
	status, length, keep, err := readHead(c.reader)
	if err != nil {
		return nil, false, err
	}
	body = make([]byte, length)
	if _, err := io.ReadFull(c.reader, body); err != nil {
		return nil, false, err
	}
	if status != 200 {
		return nil, keep, fmt.Errorf("status %d: %.80s", status, body)
	}
	return body, keep, nil
}

// readHead reads a response up to its body, which must have a length.
func readHead(reader *bufio.Reader) (status, length int, keep bool, err error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return 0, 0, false, err
	}
	if len(line) < 12 {
		return 0, 0, false, errors.New("no HTTP")
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, false, errors.New("no HTTP")
	}
	keep = true
	for {
		if line, err = reader.ReadSlice('\n'); err != nil {
			return 0, 0, false, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			return status, length, keep, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, 0, false, err
			}
		case bytes.EqualFold(name, []byte("connection")) && bytes.EqualFold(value, []byte("close")):
			keep = false
		}
	}
}
