package reactor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func TestConnectionsOfAllLoopsAreServed(t *testing.T) {
	r := start(t, 2)
	ln, addr := r.listen(t, ListenOptions{Serve: echo})
	var clients []net.Conn
	for range 20 {
		clients = append(clients, connectTo(t, addr))
	}
	for round := range 3 {
		for i, c := range clients {
			if err := ask(c, fmt.Sprintf("round %d of client %d", round, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := ln.Accepted(); got != 20 {
		t.Errorf("Accepted() = %d, want 20", got)
	}
	for _, l := range r.Loops() {
		if n := l.Open(); n < 8 {
			t.Errorf("loop %d has %d of 20 connections", l.ID(), n)
		}
	}
	for _, c := range clients {
		c.Close()
	}
	until(t, "all connections are closed", func() bool { return ln.Open() == 0 })
}

func TestUnixSocketsAreServedAndDialled(t *testing.T) {
	r := start(t, 1)
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := r.Listen(l.(*net.UnixListener), ListenOptions{Serve: echo}); err != nil {
		t.Fatal(err)
	}
	do(t, r.Loops()[0], func() error {
		c, err := r.Loops()[0].DialUnix(path, DialOptions{Deadline: time.Now().Add(patience)})
		if err != nil {
			return err
		}
		defer c.Close()
		if c.RemoteAddrPort().IsValid() || c.LocalAddrPort().IsValid() || c.RemoteAddr().Network() != "unix" {
			return fmt.Errorf("addresses %v, %v", c.RemoteAddr(), c.LocalAddr())
		}
		return ask(c, "through a unix socket")
	})
}

func TestIPv6IsServedAndDialled(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	defer l.Close()
	r := start(t, 1)
	remote := make(chan string, 1)
	if _, err := r.Listen(l.(*net.TCPListener), ListenOptions{Serve: func(c *Conn) bool {
		remote <- c.RemoteAddrPort().String()
		return echo(c)
	}}); err != nil {
		t.Fatal(err)
	}
	do(t, r.Loops()[0], func() error {
		c, err := r.Loops()[0].Dial(l.Addr().(*net.TCPAddr).AddrPort(), DialOptions{})
		if err != nil {
			return err
		}
		defer c.Close()
		if err := ask(c, "over IPv6"); err != nil {
			return err
		}
		if got, want := <-remote, c.LocalAddr().String(); got != want {
			return fmt.Errorf("the server sees %s, the client is %s", got, want)
		}
		return nil
	})
}

func TestAServerMaySpeakFirst(t *testing.T) {
	r := start(t, 1)
	_, addr := r.listen(t, ListenOptions{AtOnce: true, Serve: func(c *Conn) bool {
		_, err := c.Write([]byte("220 ready"))
		return err == nil
	}})
	b := make([]byte, 9)
	if _, err := io.ReadFull(connectTo(t, addr), b); err != nil || string(b) != "220 ready" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestEndsAreToldWithTheirReason(t *testing.T) {
	type end struct {
		name string
		err  error
	}
	failure := errors.New("failed")
	for _, test := range []struct {
		name   string
		serve  func(c *Conn) bool
		client func(c *net.TCPConn, r *running, ln *Listener)
		want   error
	}{
		{"the handler is done", func(*Conn) bool { return false }, nil, nil},
		{"the handler closed it", func(c *Conn) bool { c.Close(); return true }, nil, nil},
		{"the peer closed it", nil, func(c *net.TCPConn, _ *running, _ *Listener) { c.Close() }, io.EOF},
		{"the peer reset it", nil, func(c *net.TCPConn, _ *running, _ *Listener) { c.SetLinger(0); c.Close() }, errReset},
		{"its deadline passed", func(c *Conn) bool {
			c.SetReadDeadline(c.Loop().Now().Add(30 * time.Millisecond))
			return echo(c)
		}, nil, os.ErrDeadlineExceeded},
		{"it was drained", nil, func(_ *net.TCPConn, _ *running, ln *Listener) { ln.Drain() }, net.ErrClosed},
		{"it was aborted", nil, func(_ *net.TCPConn, _ *running, ln *Listener) { ln.Abort() }, net.ErrClosed},
		{"the reactor ended", nil, func(_ *net.TCPConn, r *running, _ *Listener) { r.Close() }, net.ErrClosed},
		{"the handler panicked", func(*Conn) bool { panic(failure) }, nil, ErrPanicked},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, 1)
			ends := make(chan end, 10)
			served := make(chan bool, 10)
			ln, addr := r.listen(t, ListenOptions{
				Serve: func(c *Conn) bool {
					c.State = test.name
					defer func() { served <- true }()
					if test.serve != nil {
						return test.serve(c)
					}
					return echo(c)
				},
				Closed: func(c *Conn, reason error) {
					if !c.Closed() {
						t.Error("Closed was called with an open connection")
					}
					ends <- end{c.State.(string), reason}
				},
			})
			c := connectTo(t, addr)
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			receive(t, "the handler", served)
			if test.client != nil {
				if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				test.client(c, r, ln)
			}
			got := receive(t, "the end of the connection", ends)
			if got.name != test.name || !errors.Is(got.err, test.want) || (got.err == nil) != (test.want == nil) {
				t.Errorf("told %q, %v; want %v", got.name, got.err, test.want)
			}
			c.Close()
			r.stop()
			if len(ends) != 0 {
				t.Errorf("told again: %v", <-ends)
			}
			if ln.Open() != 0 {
				t.Errorf("Open() = %d after the end", ln.Open())
			}
		})
	}
}

func TestPipelinedBytesReachTheHandlerAgain(t *testing.T) {
	r := start(t, 1)
	_, addr := r.listen(t, ListenOptions{Serve: func(c *Conn) bool {
		var b [1]byte // so there is more whenever it returns
		n, err := c.TryRead(b[:])
		if err != nil {
			return errors.Is(err, ErrWouldBlock)
		}
		_, err = c.Write(b[:n])
		return err == nil
	}})
	c := connectTo(t, addr)
	if err := ask(c, "one byte at a time, and then the end"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("!")); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c); err != nil || string(rest) != "!" {
		t.Errorf("after half-close: %q, %v", rest, err)
	}
}

func TestANewConnectionMayBeTurnedAwayBeforeItSpeaks(t *testing.T) {
	for name, atOnce := range map[string]bool{"": false, "served at once": true} {
		t.Run(name, func(t *testing.T) {
			r := start(t, 2)
			var n atomic.Int64
			_, addr := r.listen(t, ListenOptions{
				AtOnce: atOnce,
				Accepted: func(c *Conn) bool {
					c.State = n.Add(1)
					return c.State == int64(1)
				},
				Serve: func(c *Conn) bool {
					if c.State != int64(1) {
						io.WriteString(c, "no")
						return false
					}
					return echo(c)
				},
			})
			first := connectTo(t, addr)
			if err := ask(first, "ping"); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(connectTo(t, addr)); err != nil || string(got) != "no" {
				t.Errorf("the second was told %q, %v", got, err)
			}
			if err := ask(first, "ping"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAPanicOfAcceptedEndsNothing(t *testing.T) {
	r := start(t, 1)
	_, addr := r.listen(t, ListenOptions{Accepted: func(*Conn) bool { panic("oops") }, Serve: echo})
	if err := ask(connectTo(t, addr), "ping"); err != nil {
		t.Error(err)
	}
	if r.Panics() != 1 {
		t.Errorf("%d panics", r.Panics())
	}
}

// A last word is due to a peer that is still there, however the connection ends.
func TestClosingHasTheLastWord(t *testing.T) {
	r := start(t, 1)
	keep := make(chan bool, 1)
	ln, addr := r.listen(t, ListenOptions{
		Serve: func(c *Conn) bool {
			var b [10]byte
			c.TryRead(b[:])
			return <-keep
		},
		Closing: func(c *Conn) { c.TryWrite([]byte("bye")) },
	})
	for _, parked := range []bool{false, true} {
		c := connectTo(t, addr)
		keep <- parked
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if parked {
			until(t, "the handler has run", func() bool { return len(keep) == 0 })
			ln.Drain()
		}
		if got, err := io.ReadAll(c); string(got) != "bye" || err != nil {
			t.Errorf("parked %v: got %q, %v", parked, got, err)
		}
	}
}

// What was read of a connection may be no request, as with a handshake of TLS.
func TestAFreshConnectionOutlivesADrain(t *testing.T) {
	r := start(t, 1)
	served := make(chan int, 10)
	ln, addr := r.listen(t, ListenOptions{Serve: func(c *Conn) bool {
		var b [10]byte
		n, err := c.TryRead(b[:])
		if err == nil && string(b[:n]) == "hello" {
			c.StayFresh()
		} else {
			c.Write([]byte("answer"))
		}
		served <- n
		return true
	}})
	c := connectTo(t, addr)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	<-served
	ln.Drain()
	if _, err := c.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "answer" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
