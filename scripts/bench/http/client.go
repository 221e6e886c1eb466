package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// smallRequest asks for 64 bytes.
const smallRequest = "GET " + small + " HTTP/1.1\r\nHost: bench\r\n\r\n"

// answerWithin is how long an answer may take that is waited for alone.
const answerWithin = 5 * time.Second

// get makes a small request on c and reads the answer, which fits into buf, to its
// end.
func get(c net.Conn, buf []byte) error {
	if err := c.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, smallRequest); err != nil {
		return err
	}
	for have := 0; ; {
		n, err := c.Read(buf[have:])
		if err != nil {
			return noEOF(err)
		}
		have += n
		whole, err := answered(buf[:have])
		if err != nil {
			return err
		}
		if whole {
			return nil
		}
		if have == len(buf) {
			return fmt.Errorf("an answer of more than %d bytes", have)
		}
	}
}

// answered reports whether text is a whole response with status 200 and a length.
// Anything else that is complete is an error.
func answered(text []byte) (bool, error) {
	end := bytes.Index(text, []byte("\r\n\r\n"))
	if end < 0 {
		return false, nil
	}
	line, fields, _ := bytes.Cut(text[:end], []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return false, fmt.Errorf("answered %q", line)
	}
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !bytes.EqualFold(name, []byte("Content-Length")) {
			continue
		}
		length, err := strconv.Atoi(string(bytes.TrimSpace(value)))
		if err != nil {
			return false, fmt.Errorf("answered %q: %w", line, err)
		}
		return len(text) >= end+4+length, nil
	}
	return false, errors.New("answered without a length")
}
