package l7

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// taken is a request as a server took it that reads with net/http. An incomplete
// one ends with its error.
type taken struct {
	Line string // method and target
	Body string
	Err  string
}

// recording is a server that remembers what it was asked.
type recording struct {
	address string

	mu      sync.Mutex
	all     []taken
	headers []http.Header
	conns   int
}

// record200 runs a server that answers each request with what it was asked: its target
// and its body.
func record200(t testing.TB) *recording {
	t.Helper()
	rec := &recording{}
	rec.address = rawServer(t, func(c *net.TCPConn, in *bufio.Reader) {
		rec.mu.Lock()
		rec.conns++
		rec.mu.Unlock()
		for rec.one(c, in) {
		}
	})
	return rec
}

// one takes a request and answers it.
func (rec *recording) one(c *net.TCPConn, in *bufio.Reader) bool {
	req, err := http.ReadRequest(in)
	if err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !isReset(err) {
			rec.add(taken{Err: err.Error()}, nil)
		}
		return false
	}
	body, err := io.ReadAll(req.Body)
	got := taken{Line: req.Method + " " + req.RequestURI, Body: string(body)}
	if err != nil {
		got.Err = "incomplete"
	}
	for k, v := range req.Trailer {
		req.Header["Trailer:"+k] = v
	}
	req.Header["Host"] = []string{req.Host}
	rec.add(got, req.Header)
	if err != nil {
		return false
	}
	answer := req.RequestURI + string(body)
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(answer))
	if req.Method == http.MethodHead {
		answer = ""
	}
	_, err = io.WriteString(c, head+answer)
	return err == nil
}

func isReset(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "read"
}

func (rec *recording) add(got taken, h http.Header) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.all, rec.headers = append(rec.all, got), append(rec.headers, h)
}

// requests returns what has been asked so far.
func (rec *recording) requests() []taken {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return slices.Clone(rec.all)
}

// header returns the fields of the newest request; trailers are among them, with
// "Trailer:" before their names.
func (rec *recording) header() http.Header {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.headers) == 0 {
		return nil
	}
	return rec.headers[len(rec.headers)-1]
}

// connections returns how many connections came.
func (rec *recording) connections() int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.conns
}

// ends fails the test unless the connection ends here, in good order.
func (c raw) ends(t testing.TB) {
	t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) != 0 {
		t.Errorf("behind the response: %.100q, %v; want its end", rest, err)
	}
}
