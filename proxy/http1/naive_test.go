package http1_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// message is what a reader makes of the bytes of a request or a response.
type message struct {
	Start  string   // method, target and Host, or the status
	Fields []string // those that frame are left out, sorted
	Body   string
	Rest   string // behind the message
}

// A naive reader reads only what is certainly right, in the plainest way. It shares
// nothing with the codec but the RFC.
type naive struct {
	rest    string
	length  int // -1 if not stated
	chunked bool
	host    string
	fields  []string
}

var errNaive = errors.New("not plain")

// head reads lines up to the empty one, and returns the first.
func (n *naive) head(wire string) (start string, err error) {
	head, rest, ok := strings.Cut(wire, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	if !ok || strings.ContainsAny(strings.Join(lines, ""), "\r\n\x00") {
		return "", errNaive
	}
	n.rest, n.length = rest, -1
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ": ")
		if !ok || name == "" || name != strings.TrimSpace(name) || value != strings.Trim(value, " \t") {
			return "", errNaive
		}
		switch strings.ToLower(name) {
		case "content-length":
			length, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n.length >= 0 || n.chunked {
				return "", errNaive
			}
			n.length = int(length)
		case "transfer-encoding":
			if value != "chunked" || n.length >= 0 || n.chunked {
				return "", errNaive
			}
			n.chunked = true
		case "host":
			if n.host != "" {
				return "", errNaive
			}
			n.host = "[" + value + "]"
		case "connection", "trailer":
		default:
			n.fields = append(n.fields, strings.ToLower(name)+": "+value)
		}
	}
	slices.Sort(n.fields)
	return lines[0], nil
}

// body reads the body that the head announced.
func (n *naive) body() (string, error) {
	if !n.chunked {
		length := max(n.length, 0)
		if len(n.rest) < length {
			return "", errNaive
		}
		body := n.rest[:length]
		n.rest = n.rest[length:]
		return body, nil
	}
	var body strings.Builder
	for {
		line, rest, ok := strings.Cut(n.rest, "\r\n")
		size, err := strconv.ParseInt(line, 16, 64)
		if !ok || err != nil || size > int64(len(rest)) {
			return "", errNaive
		}
		if n.rest = rest; size == 0 {
			break
		}
		body.WriteString(rest[:size])
		if n.rest, ok = strings.CutPrefix(rest[size:], "\r\n"); !ok {
			return "", errNaive
		}
	}
	for {
		line, rest, ok := strings.Cut(n.rest, "\r\n")
		if !ok {
			return "", errNaive
		}
		if n.rest = rest; line == "" {
			return body.String(), nil
		}
	}
}

func naiveRequest(wire string) (message, error) {
	var n naive
	line, err := n.head(wire)
	if err != nil {
		return message{}, err
	}
	words := strings.Split(line, " ")
	if len(words) != 3 || words[2] != "HTTP/1.1" {
		return message{}, errNaive
	}
	body, err := n.body()
	host := strings.Trim(n.host, "[]")
	return message{words[0] + " " + words[1] + " " + host, n.fields, body, n.rest}, err
}

func naiveResponse(wire string, bodyless, untilClose bool) (message, error) {
	var n naive
	line, err := n.head(wire)
	if err != nil {
		return message{}, err
	}
	words := strings.SplitN(line, " ", 3)
	if len(words) != 3 || words[0] != "HTTP/1.1" {
		return message{}, errNaive
	}
	m := message{Start: words[1], Fields: n.fields, Rest: n.rest}
	switch {
	case bodyless:
	case untilClose:
		m.Body, m.Rest = n.rest, ""
	default:
		m.Body, err = n.body()
		m.Rest = n.rest
	}
	return m, err
}

// sorted returns the fields of net/http as the naive reader does.
func sorted(h http.Header) []string {
	var all []string
	for name, values := range h {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
			continue
		}
		for _, v := range values {
			all = append(all, strings.ToLower(name)+": "+v)
		}
	}
	slices.Sort(all)
	return all
}

func stdRequest(wire string) (message, error) {
	r := bufio.NewReaderSize(strings.NewReader(wire), 1<<16)
	req, err := http.ReadRequest(r)
	if err != nil {
		return message{}, err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return message{}, err
	}
	rest, err := io.ReadAll(r)
	return message{req.Method + " " + req.RequestURI + " " + strings.Trim(req.Host, "[]"), sorted(req.Header), string(body), string(rest)}, err
}

func stdResponse(wire, method string) (message, error) {
	r := bufio.NewReaderSize(strings.NewReader(wire), 1<<16)
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return message{}, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return message{}, err
	}
	rest, err := io.ReadAll(r)
	return message{strconv.Itoa(res.StatusCode), sorted(res.Header), string(body), string(rest)}, err
}
