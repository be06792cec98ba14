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
	// Whether a peer is still there is asked by who is measured.
	made := &client{to: to, dialer: net.Dialer{Timeout: patience, KeepAlive: -1}}
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
	head, err := readHead(c.reader)
	if err != nil {
		return nil, false, err
	}
	if body, err = readBody(c.reader, head); err != nil {
		return nil, false, err
	}
	if head.status != 200 {
		return nil, head.keep, fmt.Errorf("status %d: %.80s", head.status, body)
	}
	return body, head.keep, nil
}

type head struct {
	status, length int
	chunked, keep  bool
}

// readHead reads a response up to its body, which must have a length or come in chunks.
func readHead(reader *bufio.Reader) (found head, err error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return found, err
	}
	if len(line) < 12 {
		return found, errors.New("no HTTP")
	}
	if found.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return found, errors.New("no HTTP")
	}
	found.keep = true
	for {
		if line, err = reader.ReadSlice('\n'); err != nil {
			return found, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			return found, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("content-length")):
			if found.length, err = strconv.Atoi(string(value)); err != nil {
				return found, err
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			found.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("connection")) && bytes.EqualFold(value, []byte("close")):
			found.keep = false
		}
	}
}

func readBody(reader *bufio.Reader, head head) (body []byte, err error) {
	if !head.chunked {
		return readExactly(reader, head.length)
	}
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		length, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return nil, err
		}
		chunk, err := readExactly(reader, int(length)+2) // and the end of its line
		if err != nil || length == 0 {
			return body, err
		}
		body = append(body, chunk[:length]...)
	}
}

func readExactly(reader *bufio.Reader, length int) ([]byte, error) {
	body := make([]byte, length)
	_, err := io.ReadFull(reader, body)
	return body, err
}
