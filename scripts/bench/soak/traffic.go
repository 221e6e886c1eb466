package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
)

// answerWithin is how long a client waits.
const answerWithin = 3 * time.Second

// A failure is a request that was not answered.
type failure struct {
	Flow       string
	Begin, End time.Time
	Why        string
}

// A tally counts what became of the requests of each flow. Several goroutines may use
// it at once.
type tally struct {
	mu       sync.Mutex
	requests map[string]int
	failures []failure
}

func (t *tally) add(flow string, begin time.Time, err error) {
	end := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests[flow]++
	if err != nil {
		t.failures = append(t.failures, failure{flow, begin, end, err.Error()})
	}
}

// A flow is one kind of load: clients that ask in turn, each so many times a second.
type flow struct {
	name    string
	clients int
	every   time.Duration // between two requests of a client
	// client returns what a client does for a request, and what it does at its end.
	client func(h *lab.Host) (ask func(ctx context.Context) error, end func())
}

// flows returns the mixed load.
func flows() []flow {
	return []flow{
		{"http, kept connections", 8, 40 * time.Millisecond, web("http", "/", true, nil)},
		{"http, new connections", 4, 40 * time.Millisecond, web("http", "/static/x", false, nil)},
		{"http, 128 KiB down", 2, 100 * time.Millisecond, web("http", "/static/large", true, nil)},
		{"http, 64 KiB up", 2, 100 * time.Millisecond, web("http", "/up", true, bytes.Repeat([]byte("x"), 64<<10))},
		{"tls, kept connections", 4, 40 * time.Millisecond, web("https", "/", true, nil)},
		{"tls, new connections", 2, 50 * time.Millisecond, web("https", "/", false, nil)},
		{"tcp, ten messages each", 4, 50 * time.Millisecond, stream},
		{"udp, questions", 4, 40 * time.Millisecond, datagrams},
	}
}

// run asks until ctx is done; what is on its way then is waited for, and counted.
func (f flow) run(ctx context.Context, h *lab.Host, t *tally) {
	var clients sync.WaitGroup
	for range f.clients {
		clients.Go(func() {
			ask, end := f.client(h)
			defer end()
			tick := time.NewTicker(f.every)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				begin := time.Now()
				asked, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
				err := ask(asked)
				cancel()
				t.add(f.name, begin, err)
			}
		})
	}
	clients.Wait()
}

func to(port int) string {
	return netip.AddrPortFrom(failover.VIP().Addr(), uint16(port)).String()
}

// web is a client of HTTP, with TLS or without, over one connection or one for each
// request.
func web(scheme, path string, kept bool, body []byte) func(h *lab.Host) (func(context.Context) error, func()) {
	return func(h *lab.Host) (func(context.Context) error, func()) {
		transport := &http.Transport{
			DialContext: h.DialContext, DisableKeepAlives: !kept, DisableCompression: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4)},
		}
		port := webPort
		if scheme == "https" {
			port = securePort
		}
		url, method := scheme+"://"+to(port)+path, http.MethodGet
		if body != nil {
			method = http.MethodPost
		}
		return func(ctx context.Context) error {
			r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
			if err != nil {
				return err
			}
			resp, err := transport.RoundTrip(r)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d, x-tandem-reason %q", resp.StatusCode, resp.Header.Get("x-tandem-reason"))
			}
			if err == nil && strings.HasSuffix(path, "large") && !bytes.Equal(got, large) {
				err = fmt.Errorf("%d bytes came that are not those that were sent", len(got))
			}
			return err
		}, transport.CloseIdleConnections
	}
}

// stream is a client of TCP: a request is a connection with ten messages.
func stream(h *lab.Host) (func(context.Context) error, func()) {
	message, echo := bytes.Repeat([]byte("m"), 512), make([]byte, 512)
	return func(ctx context.Context) error {
		c, err := h.DialContext(ctx, "tcp", to(tcpPort))
		if err != nil {
			return err
		}
		defer c.Close()
		if err := limit(ctx, c); err != nil {
			return err
		}
		for range 10 {
			if _, err := c.Write(message); err != nil {
				return err
			}
			if _, err := io.ReadFull(c, echo); err != nil {
				return err
			}
		}
		return nil
	}, func() {}
}

// datagrams is a client of UDP, which asks again when it hears nothing, as resolvers do.
func datagrams(h *lab.Host) (func(context.Context) error, func()) {
	return func(ctx context.Context) error {
		c, err := h.DialContext(ctx, "udp", to(udpPort))
		if err != nil {
			return err
		}
		defer c.Close()
		buf := make([]byte, 512)
		for range 3 {
			if _, err = c.Write([]byte("question")); err != nil {
				continue // the port was closed when it was asked last
			}
			if err := c.SetReadDeadline(time.Now().Add(answerWithin / 4)); err != nil {
				return err
			}
			if _, err = c.Read(buf); err == nil {
				return nil
			}
			if ctx.Err() != nil {
				break
			}
		}
		return err
	}, func() {}
}

// limit ends what is done with c when ctx ends.
func limit(ctx context.Context, c net.Conn) error {
	by, ok := ctx.Deadline()
	if !ok {
		return errors.New("no deadline")
	}
	return c.SetDeadline(by)
}
