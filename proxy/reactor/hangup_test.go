package reactor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestAHangupOfTheClientEndsTheWaitForTheServer(t *testing.T) {
	for _, test := range []struct {
		name string
		wait func(l *Loop, up *Conn, client *Conn) error
	}{
		{"in a read", func(_ *Loop, up, _ *Conn) error { _, err := up.Read(make([]byte, 1)); return err }},
		{"in a write", func(_ *Loop, up, _ *Conn) error { _, err := up.Write(make([]byte, 64<<20)); return err }},
		{"in a splice", func(l *Loop, up, client *Conn) error { _, err := l.Splice(client, up, -1); return err }},
	} {
		for _, hangup := range []struct {
			name string
			do   func(*net.TCPConn)
			hard bool
		}{
			{"by closing", func(c *net.TCPConn) { c.Close() }, false},
			{"by a reset", func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, true},
			{"by half-close", func(c *net.TCPConn) { c.CloseWrite() }, false},
		} {
			t.Run(test.name+" "+hangup.name, func(t *testing.T) {
				r := start(t, 1)
				l := r.Loops()[0]
				silent := dialled(t, r).RemoteAddrPort()
				waiting := make(chan bool, 1)
				result := make(chan error, 1)
				_, addr := r.listen(t, ListenOptions{Serve: func(client *Conn) bool {
					client.Read(make([]byte, 10))
					up, err := l.Dial(silent, DialOptions{})
					if err != nil {
						result <- err
						return false
					}
					defer up.Abort()
					up.WatchHangup(client)
					l.Go(func() { waiting <- true })
					err = test.wait(l, up, client)
					if client.HungUp() != hangup.hard {
						err = fmt.Errorf("HungUp() = %v: %w", client.HungUp(), err)
					}
					result <- err
					return false
				}})
				c := connectTo(t, addr)
				c.Write([]byte("request"))
				receive(t, "the request", waiting)
				hangup.do(c)
				if err := receive(t, "the end of the wait", result); !errors.Is(err, ErrHangup) || err.Error() != ErrHangup.Error() && test.name != "in a splice" {
					t.Errorf("ended with %v, want %v", err, ErrHangup)
				}
			})
		}
	}
}

func TestAHangupIsReportedOnce(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	answering := server(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.Write([]byte("answer"))
	})
	result := make(chan error, 1)
	_, addr := r.listen(t, ListenOptions{Serve: func(client *Conn) bool {
		result <- func() error {
			if _, err := io.ReadAll(client); err != nil {
				return err
			}
			// The client is half-closed before the watch begins.
			up, err := l.Dial(answering, DialOptions{Watch: client})
			if err == nil {
				_, err = up.Read(make([]byte, 1))
			}
			if !errors.Is(err, ErrHangup) {
				return fmt.Errorf("first: %w, want %w", err, ErrHangup)
			}
			if up == nil {
				return nil // it was found while dialling
			}
			defer up.Close()
			if _, err := up.Write([]byte("x")); err != nil {
				return err
			}
			b := make([]byte, 6)
			if _, err := io.ReadFull(up, b); err != nil || string(b) != "answer" {
				return fmt.Errorf("then: %q, %w", b, err)
			}
			return nil
		}()
		return false
	}})
	c := connectTo(t, addr)
	c.Write([]byte("request"))
	c.CloseWrite()
	if err := receive(t, "the result", result); err != nil {
		t.Error(err)
	}
}

func TestWatchesEndWithEitherConnection(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	silent := dialled(t, r).RemoteAddrPort()
	do(t, l, func() error {
		var conns [3]*Conn
		for i := range conns {
			var err error
			if conns[i], err = l.Dial(silent, DialOptions{}); err != nil {
				return err
			}
			defer conns[i].Close()
		}
		a, b, c := conns[0], conns[1], conns[2]
		a.WatchHangup(b)
		c.WatchHangup(b) // takes it over
		if a.watched != nil || b.watcher != watcher(c) || c.watched != b {
			return errors.New("the second watch did not replace the first")
		}
		b.Close()
		if c.watched != nil {
			return errors.New("the closed connection is still watched")
		}
		a.WatchHangup(c)
		a.Close()
		if c.watcher != nil {
			return errors.New("the closed connection still watches")
		}
		return nil
	})
}

func TestAnIdleConnectionTellsThatItIsNoMore(t *testing.T) {
	for _, test := range []struct {
		name   string
		server func(c *net.TCPConn)
		by     time.Duration
		want   error
	}{
		{"the server closes it", func(c *net.TCPConn) {}, 0, io.EOF},
		{"the server resets it", func(c *net.TCPConn) { c.SetLinger(0) }, 0, errReset},
		{"the server sends what nobody asked for", func(c *net.TCPConn) { c.Write([]byte("HTTP/1.1 408")); waitForEnd(c) }, 0, ErrUnexpected},
		{"its deadline passes", waitForEnd, brief, os.ErrDeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, 1)
			l := r.Loops()[0]
			proceed := make(chan struct{})
			addr := server(t, func(c *net.TCPConn) {
				io.ReadFull(c, make([]byte, 7))
				c.Write([]byte("answer"))
				<-proceed
				test.server(c)
			})
			gone := make(chan error, 2)
			do(t, l, func() error {
				c, err := l.Dial(addr, DialOptions{})
				if err != nil {
					return err
				}
				if _, err := c.Write([]byte("request")); err != nil {
					return err
				}
				// Exactly its length, so that Read cannot know that it was all.
				if _, err := io.ReadFull(c, make([]byte, 6)); err != nil {
					return err
				}
				if test.by != 0 {
					c.SetReadDeadline(l.Now().Add(test.by))
				}
				c.SetIdle(func(c *Conn, reason error) {
					gone <- reason
					c.Abort()
				})
				if err := c.Idle(); err != nil {
					return fmt.Errorf("not idle: %w", err)
				}
				return nil
			})
			close(proceed)
			if err := receive(t, "the end of the idle connection", gone); !errors.Is(err, test.want) {
				t.Errorf("gone with %v, want %v", err, test.want)
			}
			do(t, l, func() error { return l.Sleep(brief) })
			if len(gone) != 0 {
				t.Error("told twice")
			}
		})
	}
}

func TestAConnectionThatIsTakenFromThePoolIsNotIdle(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	_, addr := r.listen(t, ListenOptions{Serve: echo})
	do(t, l, func() error {
		c, err := l.Dial(addr, DialOptions{})
		if err != nil {
			return err
		}
		defer c.Close()
		gone := 0
		pool := func(*Conn, error) { gone++ }
		for i := range 50 {
			if err := ask(c, fmt.Sprint("request ", i)); err != nil {
				return err
			}
			c.SetIdle(pool)
			if i%3 == 0 {
				l.Sleep(1)
			}
			if err := c.Idle(); err != nil {
				return fmt.Errorf("after request %d: %w", i, err)
			}
			c.SetIdle(nil)
		}
		if gone != 0 {
			return fmt.Errorf("the pool was told %d times that a good connection is gone", gone)
		}
		return nil
	})
}
