package l7

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy/http1"
)

// wellFormed returns the requests that a strict parser finds at the front of b: what
// a server may be told at most. more is whether the last one has no end yet: a server
// may have heard of that too.
func wellFormed(b []byte) (all []taken, more *taken) {
	limits := http1.DefaultLimits()
	for len(b) > 0 {
		var req http1.Request
		n, err := req.Parse(b, &limits)
		if err != nil || n == 0 {
			return all, nil
		}
		got := taken{Line: string(req.MethodText()) + " " + string(req.AppendTarget(nil))}
		b = b[n:]
		switch req.Body.Kind {
		case http1.Sized:
			k := min(int64(len(b)), req.Body.Length)
			got.Body = string(b[:k])
			b = b[k:]
			if k < req.Body.Length {
				return all, &got
			}
		case http1.Chunked:
			var d http1.Decoder
			d.Reset(&req.Head, &limits)
			data := bytes.Clone(b) // it is decoded in place
			k, used, err := d.Decode(data)
			if err != nil || !d.Done() {
				return all, &got
			}
			got.Body = string(data[:k])
			b = b[used:]
		}
		all = append(all, got)
		if !req.KeepAlive {
			return all, nil
		}
	}
	return all, nil
}

// proxyFuzz is a proxy before a server that records, both used for all inputs.
type proxyFuzz struct {
	*running
	mu  sync.Mutex
	got []taken
	raw []error // what the server could not read
}

func newProxyFuzz(f *testing.F) *proxyFuzz {
	p := &proxyFuzz{}
	address := rawServer(f, func(c *net.TCPConn, in *bufio.Reader) {
		for p.one(c, in) {
		}
	})
	spec := generous()
	spec.Timeouts.Header, spec.Timeouts.BodyIdle, spec.Timeouts.Tunnel = 2*tick, 2*tick, 2*tick
	p.running = startWith(f, spec, pool(f, address))
	return p
}

func (p *proxyFuzz) one(c *net.TCPConn, in *bufio.Reader) bool {
	c.SetDeadline(time.Time{})
	req, err := http.ReadRequest(in)
	p.mu.Lock()
	if err != nil {
		if _, cut := errors.AsType[*net.OpError](err); err != io.EOF && err != io.ErrUnexpectedEOF && !cut {
			p.raw = append(p.raw, err)
		}
		p.mu.Unlock()
		return false
	}
	p.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	got := taken{Line: req.Method + " " + req.RequestURI, Body: string(body)}
	if err != nil {
		got.Err = "incomplete"
	}
	p.mu.Lock()
	p.got = append(p.got, got)
	p.mu.Unlock()
	if err != nil {
		return false
	}
	_, err = io.WriteString(c, empty)
	return err == nil
}

func (p *proxyFuzz) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got, p.raw = nil, nil
}

func (p *proxyFuzz) seen() ([]taken, []error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]taken(nil), p.got...), append([]error(nil), p.raw...)
}

// descriptors returns how many the process has.
func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// Whatever a client sends, in whatever pieces: a server gets the requests in it that
// a strict parser finds, in their order, each once, and nothing else; and the client
// gets an answer or an end in time.
func FuzzProxy(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n0\r\nX: 1\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello" + smuggled,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\nConnection: Content-Length\r\n\r\n" + smuggled,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n" + smuggled,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" + smuggled,
		"POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nxGET /2 HTTP/1.0\r\n\r\n",
		"GET http://b/x HTTP/1.1\r\nHost: b\r\n\r\nGET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nxxxx",
		"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi" + smuggled,
		"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled,
		"\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + smuggled,
		"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 tandem-test-shop\r\n\r\n" + smuggled,
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nTRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(seed), uint64(0))
		f.Add([]byte(seed), uint64(0x1041041041))
	}
	p := newProxyFuzz(f)
	f.Cleanup(func() {
		// Of a connection nothing may remain.
		eventually(f, func() bool { return p.Traffic().Open == 0 && p.server(0).Active == 0 })
		if tr := p.Traffic(); tr.Panics != 0 {
			f.Errorf("traffic = %+v, want no panic", tr)
		}
	})
	f.Fuzz(func(t *testing.T, sent []byte, cuts uint64) {
		if len(sent) > 8<<10 {
			return
		}
		p.begin()
		c := p.dial(t)
		before := descriptors(t)
		c.SetNoDelay(true)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			io.Copy(io.Discard, c.r)
		}()
		rest := sent
		for cut := cuts; cut != 0 && len(rest) > 0; cut >>= 6 {
			n := min(int(cut&63)+1, len(rest))
			c.Write(rest[:n])
			rest = rest[n:]
		}
		c.Write(rest)
		// Most inputs leave the connection waiting for more: it ends by a request that
		// says so, where one is understood, or in time.
		io.WriteString(c, "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatalf("no end within %v", patience)
		}
		c.Close()
		eventually(t, func() bool { return p.Traffic().Open == 0 && p.server(0).Active == 0 })
		got, unread := p.seen()
		for _, err := range unread {
			t.Errorf("the server got what is no request: %v", err)
		}
		want, more := wellFormed(append(bytes.Clone(sent), "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"...))
		checkSeen(t, got, want, more)
		if now := descriptors(t); now > before+8 {
			t.Errorf("%d descriptors, %d before", now, before)
		}
	})
}

// checkSeen compares what a server got with what it may get: some of the requests
// are the proxy's to answer, the others come once and in order.
func checkSeen(t *testing.T, got, want []taken, more *taken) {
	t.Helper()
	for i, g := range got {
		if g.Err != "" {
			if i != len(got)-1 {
				t.Errorf("request %d, %.200q, came in part, and others behind it", i, g)
			}
			if more != nil && g.Line == more.Line && strings.HasPrefix(more.Body, g.Body) || more != nil && more.Body == "" {
				continue
			}
			t.Errorf("the server got %.200q in part, which nobody sent", g)
			continue
		}
		k := 0
		for k < len(want) && want[k] != g {
			k++
		}
		if k == len(want) {
			t.Errorf("the server got %.200q, which is not among %.500q", g, want)
			return
		}
		want = want[k+1:]
	}
}
