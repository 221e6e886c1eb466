package l7

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// What HTTP lets a client count on when a server ends (RFC 9112, sections 9.3 and
// 9.6): a response that has begun is completed; after one that says close, no other
// comes; and a connection may end without a byte of a response only for a request
// that crossed the end of an idle connection on the way. The proxy promises more of
// the first request of a connection: it is answered when the connection was
// accepted.
func TestShutdownUnderLoad(t *testing.T) {
	r := start(t, record200(t).address, record200(t).address)
	const clients = 200
	var answered, crossed atomic.Int64
	running := make(chan struct{}, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			isRunning := sync.OnceFunc(func() { running <- struct{}{} })
			defer isRunning() // or nobody gets further
			for n := 0; ; n++ {
				c, err := net.Dial("tcp", r.l.Addr().String())
				if err != nil {
					return // nobody listens any more
				}
				c.SetDeadline(time.Now().Add(patience))
				done, err := loadConnection(c, fmt.Sprintf("/%d/%d", i, n), &answered, isRunning)
				c.Close()
				switch {
				case err != nil && done == 0 && errors.Is(err, syscall.ECONNRESET):
					return // it was never accepted: the listening socket was closed
				case errors.Is(err, errCrossed) && done > 0:
					crossed.Add(1)
				case err != nil:
					t.Errorf("client %d, behind %d responses: %v", i, done, err)
					return
				}
			}
		})
	}
	for range clients {
		<-running
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r.stop(t, ctx)
	if ctx.Err() != nil {
		t.Error("shutdown took as long as it may")
	}
	wg.Wait()
	if tr := r.Traffic(); tr.Open != 0 || tr.Failed != 0 || int64(tr.Requests) != answered.Load() {
		t.Errorf("traffic = %+v, want %d requests without a failure", tr, answered.Load())
	}
	t.Logf("%d answered, %d crossed", answered.Load(), crossed.Load())
	eventually(t, func() bool { return int64(len(r.access.lines(t))) >= answered.Load() })
	lines := r.access.lines(t)
	if int64(len(lines)) != answered.Load() {
		t.Errorf("%d lines in the access log, want %d", len(lines), answered.Load())
	}
	for _, line := range lines {
		if line["reason"] != "ok" || line["status"] != 200.0 {
			t.Errorf("line = %v, want ok", line)
		}
	}
}

// errCrossed is the end of a connection without a byte of a response to a request.
var errCrossed = errors.New("ended before a response")

// loadConnection sends requests until it is told that no more are answered. It
// returns how many were, and nil at an end in good order.
func loadConnection(c net.Conn, path string, answered *atomic.Int64, first func()) (done int, _ error) {
	in := bufio.NewReader(c)
	for ; ; done++ {
		_, sendErr := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		if _, err := in.Peek(1); err != nil {
			if sendErr != nil || err == io.EOF || errors.Is(err, syscall.ECONNRESET) {
				if done == 0 {
					return done, err
				}
				return done, errCrossed
			}
			return done, err
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return done, fmt.Errorf("within a response: %w", err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || string(body) != path {
			return done, fmt.Errorf("response %s with %q, %v", res.Status, body, err)
		}
		answered.Add(1)
		first()
		if res.Close {
			if _, err := in.ReadByte(); err != io.EOF {
				return done, fmt.Errorf("behind the response that closes: %v", err)
			}
			return done, nil
		}
	}
}
