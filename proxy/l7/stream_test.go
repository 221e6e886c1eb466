package l7

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
)

func TestBigBodiesBothWays(t *testing.T) {
	const size = 8 << 20
	r := start(t, webServer(t, func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		w.Header().Set("X-Got", fmt.Sprintf("%d %x %v", n, sum.Sum(nil), err))
		io.CopyN(w, rand.NewChaCha8([32]byte{2}), size)
	}))
	digest := func(seed byte) []byte {
		sum := sha256.New()
		io.CopyN(sum, rand.NewChaCha8([32]byte{seed}), size)
		return sum.Sum(nil)
	}
	for _, length := range []int64{size, -1} {
		t.Run(fmt.Sprintf("request length %d", length), func(t *testing.T) {
			req, err := http.NewRequest(http.MethodPost, r.url("/"), io.LimitReader(rand.NewChaCha8([32]byte{1}), size))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = length
			res, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got, want := res.Header.Get("X-Got"), fmt.Sprintf("%d %x %v", size, digest(1), nil); got != want {
				t.Errorf("server got %s, want %s", got, want)
			}
			sum := sha256.New()
			n, err := io.Copy(sum, res.Body)
			if err != nil || n != size || !cmp.Equal(sum.Sum(nil), digest(2)) {
				t.Errorf("client got %d bytes, %v, sum %x", n, err, sum.Sum(nil))
			}
		})
	}
}

func TestEventsArriveBeforeTheEnd(t *testing.T) {
	next := make(chan struct{})
	r := start(t, webServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next // until the client has the event
		}
	}))
	events := bufio.NewReader(get(t, r.url("/events")).Body)
	for i := range 3 {
		line, err := events.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
			t.Fatalf("event = %q, %v; want %q", line, err, want)
		}
		events.Discard(1)
		next <- struct{}{}
	}
	if _, err := events.ReadByte(); err != io.EOF {
		t.Errorf("end = %v, want EOF", err)
	}
}

// A conversation: the response begins while the request goes on.
func TestRequestAndResponseAtTheSameTime(t *testing.T) {
	r := start(t, webServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(w, strings.ToUpper(line))
			w.(http.Flusher).Flush()
		}
	}))
	body, say := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, r.url("/"), body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	heard := bufio.NewReader(res.Body)
	for _, line := range []string{"one\n", "two\n"} {
		io.WriteString(say, line)
		if got, err := heard.ReadString('\n'); err != nil || got != strings.ToUpper(line) {
			t.Fatalf("heard %q, %v; want %q", got, err, strings.ToUpper(line))
		}
	}
	say.Close()
	if rest, err := io.ReadAll(heard); err != nil || len(rest) != 0 {
		t.Errorf("end = %q, %v", rest, err)
	}
}

// A response may come before the request's end; the client need not finish, and
// what it still sends is not taken for a request.
func TestEarlyResponse(t *testing.T) {
	r := start(t, answers(t, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"))
	for name, rest := range map[string]string{
		"nothing more comes": "",
		"more comes":         "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(t)
			c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
			res := c.response(t, http.MethodPost)
			if res.StatusCode != http.StatusRequestEntityTooLarge || !res.Close {
				t.Errorf("response = %s, close %v; want 413 and close", res.Status, res.Close)
			}
			c.send(t, rest)
			if rest, err := io.ReadAll(c.r); len(rest) != 0 {
				t.Errorf("behind the response: %q, %v", rest, err)
			}
		})
	}
	if tr := r.settle(t); tr.Requests != 2 {
		t.Errorf("traffic = %+v, want 2 requests", tr)
	}
}

// upgrading runs a server that switches to a protocol which echoes, with the
// response and the first bytes of the new protocol in one segment.
func upgrading(t *testing.T) string {
	return rawServer(t, func(c *net.TCPConn, r *bufio.Reader) {
		head, err := readHead(r)
		if err != nil || !strings.Contains(head, "\r\nConnection: upgrade\r\n") || !strings.Contains(head, "\r\nUpgrade: websocket\r\n") {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello ")
		io.Copy(c, r)
		io.WriteString(c, " bye")
	})
}

const upgrade = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"

func (c raw) expect(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.r, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}

func TestUpgrade(t *testing.T) {
	r := start(t, upgrading(t))
	c := r.dial(t)
	c.send(t, upgrade)
	res := c.response(t, http.MethodGet)
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Upgrade") != "websocket" || res.Header.Get("Sec-Websocket-Accept") != "x" {
		t.Fatalf("response = %s, %v", res.Status, res.Header)
	}
	c.expect(t, "hello ")
	c.send(t, "ping")
	c.expect(t, "ping")
	if tr := r.Traffic(); tr.Open != 1 {
		t.Errorf("traffic = %+v, want an open connection", tr)
	}
	// The server goes on to speak after the client's half-close.
	c.CloseWrite()
	if rest, err := io.ReadAll(c.r); err != nil || string(rest) != " bye" {
		t.Errorf("end = %q, %v; want bye", rest, err)
	}
	if diff := cmp.Diff(proxy.Traffic{Accepted: 1, Requests: 1}, r.settle(t)); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
}

func TestUpgradeRefused(t *testing.T) {
	tests := []struct {
		name, response string
		want           int
	}{
		{"by the server", "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", 426},
		{"for another protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: smtp\r\n\r\n", 502},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, answers(t, tt.response)).dial(t)
			c.send(t, upgrade)
			if res := c.response(t, http.MethodGet); res.StatusCode != tt.want {
				t.Errorf("response = %s, want %d", res.Status, tt.want)
			}
		})
	}
}

// A response that breaks off must not look complete, however it is framed.
func TestServerDiesMidResponse(t *testing.T) {
	tests := []struct{ name, response string }{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
		{"within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, answers(t, tt.response))
			res := get(t, r.url("/"))
			got, err := io.ReadAll(res.Body)
			if !errors.Is(err, io.ErrUnexpectedEOF) || string(got) != "half" {
				t.Errorf("body = %q, %v; want half of one and an unexpected end", got, err)
			}
			eventually(t, func() bool { return r.server(0).Active == 0 })
			if st := r.server(0); st.Failed != 1 {
				t.Errorf("status = %+v, want one failure", st)
			}
		})
	}
}

func TestClientLeaves(t *testing.T) {
	came, left := make(chan struct{}, 1), make(chan struct{}, 1)
	waits := func(_ http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	}
	streams := func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		waits(w, r)
	}
	reads := func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.(http.Flusher).Flush()
		came <- struct{}{}
		io.Copy(io.Discard, r.Body)
		left <- struct{}{}
	}
	const plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	tests := []struct {
		name    string
		handler http.HandlerFunc
		sent    string
		head    bool // the response head has arrived
	}{
		{"while the response is awaited", waits, plain, false},
		{"while the response streams", streams, plain, true},
		{"while the request is sent", reads, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, webServer(t, tt.handler))
			c := r.dial(t)
			c.send(t, tt.sent)
			<-came
			if tt.head {
				c.response(t, http.MethodGet)
			}
			c.Close()
			select {
			case <-left:
			case <-time.After(patience):
				t.Fatal("the server was not told")
			}
			want := proxy.Traffic{Accepted: 1, Requests: 1}
			if diff := cmp.Diff(want, r.settle(t)); diff != "" {
				t.Errorf("traffic (-want +got):\n%s", diff)
			}
			if st := r.server(0); st.Failed != 0 {
				t.Errorf("status = %+v, want no failure: it was the client", st)
			}
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	r := start(t, webServer(t, echo), webServer(t, echo))
	cl := client(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for k := range 20 {
				sent := strings.Repeat(fmt.Sprintf("%d/%d ", i, k), 1000)
				res, err := cl.Post(r.url("/"), "text/plain", strings.NewReader(sent))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || string(got) != sent {
					t.Errorf("echo %d/%d: %d bytes, %v; want %d of the same", i, k, len(got), err, len(sent))
				}
			}
		})
	}
	wg.Wait()
	eventually(t, func() bool { return r.server(0).Active+r.server(1).Active == 0 })
	a, b := r.server(0), r.server(1)
	if a.Served != 160 || b.Served != 160 {
		t.Errorf("served %d and %d, want 160 each", a.Served, b.Served)
	}
}
