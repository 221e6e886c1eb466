package main

import (
	"bytes"
	"errors"
	"strconv"
)

// An answer is what the head of an HTTP response says that matters here.
type answer struct {
	status int
	length int    // of head and body
	reason string // x-tandem-reason
	later  bool   // it has Retry-After
	closes bool   // the connection ends with it
}

// errNoHTTP is what a response is that this client does not understand; it knows those
// with a length alone.
var errNoHTTP = errors.New("no response with a length")

// parseAnswer parses the beginning of what came. whole reports whether the head was
// there; the body may still be missing.
func parseAnswer(text []byte) (a answer, whole bool, err error) {
	end := bytes.Index(text, []byte("\r\n\r\n"))
	if end < 0 {
		return answer{}, false, nil
	}
	line, fields, _ := bytes.Cut(text[:end], []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return answer{}, true, errNoHTTP
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil || a.status < 200 || a.status > 599 {
		return answer{}, true, errNoHTTP
	}
	body := -1
	a.closes = line[7] == '0'
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			body, err = strconv.Atoi(string(value))
			if err != nil || body < 0 || body > maxAnswer {
				return answer{}, true, errNoHTTP
			}
		case bytes.EqualFold(name, []byte("x-tandem-reason")):
			a.reason = string(value)
		case bytes.EqualFold(name, []byte("retry-after")):
			a.later = true
		case bytes.EqualFold(name, []byte("connection")):
			a.closes = a.closes || bytes.EqualFold(value, []byte("close"))
		}
	}
	if body < 0 {
		// HAProxy's own 503 ends with its connection, and has no length.
		if !a.closes {
			return answer{}, true, errNoHTTP
		}
		body = 0
	}
	a.length = end + 4 + body
	return a, true, nil
}

// maxAnswer is more than any answer is long here.
const maxAnswer = 16 << 10
