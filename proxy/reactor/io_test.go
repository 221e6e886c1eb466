package reactor

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pattern returns n bytes that are the same in each run.
func pattern(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(b)
	return b
}

func TestBuffersAreWrittenInOrder(t *testing.T) {
	large := pattern(3 << 20)
	many := make([][]byte, 20)
	for i := range many {
		many[i] = []byte{byte('a' + i)}
	}
	for _, test := range []struct {
		name string
		bufs [][]byte
	}{
		{"none", nil},
		{"only empty ones", [][]byte{nil, {}}},
		{"a head and a body", [][]byte{[]byte("head\r\n\r\n"), []byte("body")}},
		{"with empty ones", [][]byte{{}, []byte("a"), nil, {}, []byte("b"), {}}},
		{"more than one call takes", many},
		{"more than the socket takes", [][]byte{[]byte("head"), large, nil, large, []byte("tail")}},
		{"empty ones beyond one call", append(make([][]byte, 30), []byte("x"))},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, 1)
			l := r.Loops()[0]
			got := make(chan []byte, 1)
			addr := server(t, func(c *net.TCPConn) {
				b, _ := io.ReadAll(c)
				got <- b
			})
			want := bytes.Join(test.bufs, nil)
			do(t, l, func() error {
				c, err := l.Dial(addr, DialOptions{})
				if err != nil {
					return err
				}
				defer c.Close()
				if n, err := c.WriteBuffers(test.bufs...); err != nil || n != int64(len(want)) {
					return fmt.Errorf("wrote %d of %d bytes, %w", n, len(want), err)
				}
				return nil
			})
			if b := receive(t, "what the server got", got); !bytes.Equal(b, want) {
				t.Errorf("got %d bytes, not the %d that were sent", len(b), len(want))
			}
		})
	}
}

func TestHalfClose(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	addr := server(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c)
		c.Write(append(b, " back"...))
	})
	do(t, l, func() error {
		c, err := l.Dial(addr, DialOptions{})
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("there and")); err != nil {
			return err
		}
		if err := c.CloseWrite(); err != nil {
			return err
		}
		b, err := io.ReadAll(c)
		if want := "there and back"; err != nil || string(b) != want {
			return fmt.Errorf("got %q, %w; want %q", b, err, want)
		}
		if !c.PeerClosed() {
			return errors.New("PeerClosed() = false after EOF")
		}
		return nil
	})
}

func TestAbortResets(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	ended := make(chan error, 1)
	addr := server(t, func(c *net.TCPConn) {
		_, err := io.Copy(io.Discard, c)
		ended <- err
	})
	do(t, l, func() error {
		c, err := l.Dial(addr, DialOptions{})
		if err != nil {
			return err
		}
		return c.Abort()
	})
	if err := receive(t, "the end at the server", ended); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server reads %v, want a reset", err)
	}
}

func TestAResetIsReportedAsSuch(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	addr := server(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0)
	})
	do(t, l, func() error {
		c, err := l.Dial(addr, DialOptions{})
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, err = c.Read(make([]byte, 1))
		if operation, ok := errors.AsType[*net.OpError](err); !ok || operation.Op != "read" || !errors.Is(err, syscall.ECONNRESET) {
			return fmt.Errorf("got %w, want a read that was reset", err)
		}
		if !c.HungUp() {
			return errors.New("HungUp() = false after a reset")
		}
		_, err = c.Write([]byte("x"))
		if operation, ok := errors.AsType[*net.OpError](err); !ok || operation.Op != "write" || !errors.Is(err, syscall.EPIPE) {
			return fmt.Errorf("got %w, want a broken pipe", err)
		}
		return nil
	})
}

func TestCloseEndsTheWaitsInAConnection(t *testing.T) {
	for _, test := range []struct {
		name  string
		close func(*Conn) error
	}{{"Close", (*Conn).Close}, {"Abort", (*Conn).Abort}} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, 1)
			l := r.Loops()[0]
			c := dialled(t, r)
			do(t, l, func() error {
				var failures [2]error
				read := l.Go(func() { _, failures[0] = c.Read(make([]byte, 1)) })
				write := l.Go(func() { _, failures[1] = c.Write(make([]byte, 64<<20)) })
				for c.reader == nil || c.writer == nil {
					l.Sleep(1)
				}
				if err := test.close(c); err != nil {
					return err
				}
				read.Wait()
				write.Wait()
				for _, err := range failures {
					if !errors.Is(err, net.ErrClosed) {
						return fmt.Errorf("ended with %w, want %w", err, net.ErrClosed)
					}
				}
				return nil
			})
		})
	}
}

func TestAClosedConnectionSaysSo(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	c := dialled(t, r)
	do(t, l, func() error {
		if err := c.Close(); err != nil {
			return err
		}
		for name, f := range map[string]func() error{
			"Close":         c.Close,
			"Abort":         c.Abort,
			"CloseWrite":    c.CloseWrite,
			"Idle":          c.Idle,
			"Read":          func() error { _, err := c.Read(make([]byte, 1)); return err },
			"TryRead":       func() error { _, err := c.TryRead(make([]byte, 1)); return err },
			"Write":         func() error { _, err := c.Write([]byte("x")); return err },
			"TryWrite":      func() error { _, err := c.TryWrite([]byte("x")); return err },
			"WriteBuffers":  func() error { _, err := c.WriteBuffers([]byte("x")); return err },
			"SetDeadline":   func() error { return c.SetDeadline(l.Now()) },
			"SetNoDelay":    func() error { return c.SetNoDelay(true) },
			"Control":       func() error { return c.Control(func(int) error { return nil }) },
			"Splice from":   func() error { _, err := l.Splice(c, c, 1); return err },
			"Splice to end": func() error { _, err := l.Splice(c, c, -1); return err },
		} {
			if err := f(); !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("%s: %w, want %w", name, err, net.ErrClosed)
			}
		}
		c.SetIdle(nil)
		c.WatchHangup(nil)
		if c.LocalAddrPort().IsValid() || !c.RemoteAddrPort().IsValid() {
			return errors.New("the address of the peer stays, the local one does not")
		}
		return nil
	})
}

func TestDialErrorsSayWhatWasAttempted(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := refusing.Addr().(*net.TCPAddr).AddrPort()
	refusing.Close()
	do(t, l, func() error {
		_, err := l.Dial(addr, DialOptions{})
		if want := fmt.Sprintf("dial tcp %s: connect: connection refused", addr); err == nil || err.Error() != want || !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("got %w, want %q", err, want)
		}
		_, err = l.DialUnix("/does/not/exist", DialOptions{})
		if want := "dial unix /does/not/exist: connect: no such file or directory"; err == nil || err.Error() != want {
			return fmt.Errorf("got %w, want %q", err, want)
		}
		return nil
	})
}

func TestNoDelayIsTheDefaultOnBothSides(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	accepted := make(chan int, 1)
	noDelay := func(c *Conn) (value int) {
		if err := c.Control(func(fd int) (err error) {
			value, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
			return err
		}); err != nil {
			t.Error(err)
		}
		return value
	}
	_, addr := r.listen(t, ListenOptions{AtOnce: true, Serve: func(c *Conn) bool {
		accepted <- noDelay(c)
		return false
	}})
	do(t, l, func() error {
		c, err := l.Dial(addr, DialOptions{})
		if err != nil {
			return err
		}
		defer c.Close()
		for _, want := range []bool{true, false, true} {
			if err := c.SetNoDelay(want); err != nil {
				return err
			}
			if got := noDelay(c) != 0; got != want {
				return fmt.Errorf("TCP_NODELAY = %v, want %v", got, want)
			}
		}
		return nil
	})
	if receive(t, "the accepted connection", accepted) == 0 {
		t.Error("TCP_NODELAY is off on an accepted connection")
	}
}

func TestTryWriteTakesWhatTheSocketTakes(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	c := dialled(t, r)
	do(t, l, func() error {
		defer c.Abort()
		b := make([]byte, 1<<20)
		for range 1000 {
			n, err := c.TryWrite(b)
			if errors.Is(err, ErrWouldBlock) {
				if ErrWouldBlock.Timeout() || n != 0 {
					return fmt.Errorf("wrote %d: %w", n, err)
				}
				return nil
			}
			if err != nil || n == 0 {
				return fmt.Errorf("wrote %d: %w", n, err)
			}
		}
		return errors.New("the socket takes a gigabyte that nobody reads")
	})
}

// A read stops short at urgent data, with more behind it.
func TestUrgentDataDoesNotHideWhatFollows(t *testing.T) {
	r := start(t, 1)
	got := make(chan string, 100)
	_, addr := r.listen(t, ListenOptions{Serve: func(c *Conn) bool {
		var all []byte
		b := make([]byte, 100)
		for {
			n, err := c.Read(b)
			if all = append(all, b[:n]...); err != nil {
				got <- string(all)
				return false
			}
		}
	}})
	c := connectTo(t, addr)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		text  string
		flags int
	}{{"before", 0}, {"!", unix.MSG_OOB}, {"after", 0}} {
		raw.Control(func(fd uintptr) { err = unix.Send(int(fd), []byte(part.text), part.flags) })
		if err != nil {
			t.Fatal(err)
		}
	}
	// No end of the stream yet: that would be one more event.
	until(t, "all is taken", func() bool {
		n, err := 0, error(nil)
		raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		return n == 0 && err == nil
	})
	c.CloseWrite()
	if text := receive(t, "what the server read", got); text != "beforeafter" {
		t.Errorf("read %q", text)
	}
}

func TestSpliceMovesAllWhateverTheReader(t *testing.T) {
	data := pattern(64 << 20)
	want := sha256.Sum256(data)
	for _, test := range []struct {
		name string
		n    int64
	}{{"until the end", -1}, {"so many bytes", int64(len(data))}} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, 1)
			l := r.Loops()[0]
			source := server(t, func(c *net.TCPConn) { c.Write(data) })
			sum := make(chan [32]byte, 1)
			sink := server(t, func(c *net.TCPConn) {
				c.SetReadBuffer(128 << 10) // so that the sender often waits for room
				h := sha256.New()
				io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{c}, make([]byte, 3000))
				sum <- [32]byte(h.Sum(nil))
			})
			do(t, l, func() error {
				src, err := l.Dial(source, DialOptions{})
				if err != nil {
					return err
				}
				defer src.Close()
				dst, err := l.Dial(sink, DialOptions{})
				if err != nil {
					return err
				}
				defer dst.Close()
				n, err := l.Splice(dst, src, test.n)
				if err != nil || n != int64(len(data)) {
					return fmt.Errorf("moved %d of %d bytes, %w", n, len(data), err)
				}
				if l.pipes.Len() != 1 {
					return fmt.Errorf("%d pipes are kept, want 1", l.pipes.Len())
				}
				return nil
			})
			if receive(t, "the checksum", sum) != want {
				t.Error("the bytes changed on their way")
			}
		})
	}
}

func TestSpliceSaysWhichSideFailed(t *testing.T) {
	data := pattern(1 << 20)
	for _, test := range []struct {
		name           string
		source, sink   func(c *net.TCPConn)
		deadline       func(dst, src *Conn, l *Loop)
		n              int64
		op             string
		want           error
		pipes, atLeast int
	}{
		{name: "a short source", n: 2 << 20, want: io.ErrUnexpectedEOF, pipes: 1, atLeast: 1 << 20,
			source: func(c *net.TCPConn) { c.Write(data) }, sink: func(c *net.TCPConn) { io.Copy(io.Discard, c) }},
		{name: "a source that is reset", n: -1, op: "read", want: syscall.ECONNRESET, pipes: 1,
			source: func(c *net.TCPConn) { c.SetLinger(0) }, sink: func(c *net.TCPConn) { io.Copy(io.Discard, c) }},
		{name: "a source that is silent", n: -1, op: "read", want: os.ErrDeadlineExceeded, pipes: 0,
			source: func(c *net.TCPConn) { io.Copy(io.Discard, c) }, sink: func(c *net.TCPConn) { io.Copy(io.Discard, c) },
			deadline: func(_, src *Conn, l *Loop) { src.SetReadDeadline(l.Now().Add(brief)) }},
		{name: "a sink that takes nothing", n: -1, op: "write", want: os.ErrDeadlineExceeded, pipes: 0,
			source:   func(c *net.TCPConn) { c.Write(pattern(32 << 20)) },
			sink:     func(c *net.TCPConn) { c.CloseWrite(); waitForEnd(c) },
			deadline: func(dst, _ *Conn, l *Loop) { dst.SetWriteDeadline(l.Now().Add(10 * brief)) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, 1)
			l := r.Loops()[0]
			source := server(t, func(c *net.TCPConn) {
				io.ReadFull(c, make([]byte, 1)) // not before the dial has returned
				test.source(c)
			})
			sink := server(t, test.sink)
			do(t, l, func() error {
				src, err := l.Dial(source, DialOptions{})
				if err != nil {
					return err
				}
				defer src.Close()
				dst, err := l.Dial(sink, DialOptions{})
				if err != nil {
					return err
				}
				defer dst.Abort()
				if _, err := src.Write([]byte("x")); err != nil {
					return err
				}
				if test.deadline != nil {
					test.deadline(dst, src, l)
				}
				n, err := l.Splice(dst, src, test.n)
				if !errors.Is(err, test.want) || n < int64(test.atLeast) {
					return fmt.Errorf("moved %d, %w; want %w", n, err, test.want)
				}
				if operation, ok := errors.AsType[*net.OpError](err); ok != (test.op != "") || ok && operation.Op != test.op {
					return fmt.Errorf("%w does not blame %q", err, test.op)
				}
				if l.pipes.Len() != test.pipes {
					return fmt.Errorf("%d pipes are kept, want %d: one with bytes must not be", l.pipes.Len(), test.pipes)
				}
				return nil
			})
		})
	}
}

// waitForEnd waits for the end of the connection without taking its bytes.
func waitForEnd(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Read(func(fd uintptr) bool {
		if errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
			return true
		}
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK)
		return n == 0 && err == nil
	})
}
