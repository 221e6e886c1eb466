package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// SmallRequest asks for 64 bytes.
const SmallRequest = "GET " + Small + " HTTP/1.1\r\nHost: bench\r\n\r\n"

// AnswerWithin is how long an answer may take that is waited for alone.
const AnswerWithin = 5 * time.Second

// Get makes a small request on c and reads the answer, which fits into buf, to its
// end.
func Get(c net.Conn, buf []byte) error {
	if err := c.SetDeadline(time.Now().Add(AnswerWithin)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, SmallRequest); err != nil {
		return err
	}
	for have := 0; ; {
		n, err := c.Read(buf[have:])
		if err != nil {
			return NoEOF(err)
		}
		have += n
		whole, err := Answered(buf[:have])
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

// Answered reports whether text is a whole response with status 200 and a length.
// Anything else that is complete is an error.
func Answered(text []byte) (bool, error) {
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
