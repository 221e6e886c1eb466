package reactor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// Everything that can be on a loop is on it when the reactor ends; that nothing is
// left of it is what start checks.
func TestTheEndOfTheReactorEndsAllThatRuns(t *testing.T) {
	r := start(t, 2)
	silent := server(t, waitForEnd)
	full := fullBacklog(t)
	_, addr := r.listen(t, ListenOptions{Serve: func(c *Conn) bool {
		var b [1]byte
		c.TryRead(b[:])
		if b[0] == 'r' {
			c.Read(b[:])
		}
		return true
	}})
	for _, first := range []string{"", "p", "r"} { // new, parked, reading
		connectTo(t, addr).Write([]byte(first))
	}
	results := make(chan error, 100)
	arrived := make(chan bool, 100)
	tasks := map[string]func(l *Loop, c *Conn) error{
		"reads":   func(_ *Loop, c *Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"writes":  func(_ *Loop, c *Conn) error { _, err := c.Write(make([]byte, 64<<20)); return err },
		"splices": func(l *Loop, c *Conn) error { _, err := l.Splice(c, c, -1); return err },
		"sleeps":  func(l *Loop, _ *Conn) error { return l.Sleep(time.Hour) },
		"dials":   func(l *Loop, _ *Conn) error { _, err := l.Dial(full, DialOptions{}); return err },
		"awaits": func(l *Loop, _ *Conn) error {
			for {
				l.Await(func() {})
				if err := l.Sleep(0); err != nil {
					return err
				}
			}
		},
		"waits": func(l *Loop, _ *Conn) error {
			var err error
			l.Go(func() { err = l.Sleep(time.Hour) }).Wait()
			return err
		},
	}
	for _, l := range r.Loops() {
		for name, f := range tasks {
			l.Post(func() {
				l.Go(func() {
					c, err := l.Dial(silent, DialOptions{})
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					pooled, err := l.Dial(silent, DialOptions{})
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					pooled.SetIdle(func(*Conn, error) { t.Error("the end of the reactor told the pool") })
					l.Go(func() { arrived <- true })
					results <- f(l, c)
				})
			})
		}
	}
	for range len(tasks) * 2 {
		receive(t, "a task", arrived)
	}
	r.stopLoops(t)
	for range len(tasks) * 2 {
		if err := receive(t, "the end of a task", results); !errors.Is(err, net.ErrClosed) {
			t.Errorf("ended with %v, want %v", err, net.ErrClosed)
		}
	}
	for _, l := range r.Loops() {
		if err := l.Post(func() { t.Error("ran after the end") }); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Post after the end: %v, want %v", err, net.ErrClosed)
		}
	}
	if got := r.Panics(); got != 0 {
		t.Errorf("%d panics: %s", got, r.panicText())
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if _, err := r.Listen(socket.(*net.TCPListener), ListenOptions{Serve: echo}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Listen after the end: %v, want %v", err, net.ErrClosed)
	}
}

// stopLoops ends the loops, before other ends of connections in the test.
func (r *running) stopLoops(t *testing.T) {
	t.Helper()
	r.Close()
	until(t, "the loops end", func() bool {
		for _, l := range r.Loops() {
			if l.Post(func() {}) == nil {
				return false
			}
		}
		return true
	})
}

func TestAReactorThatNeverRanLeavesNothing(t *testing.T) {
	before := countDescriptors(t)
	r, err := New(Options{Loops: 3})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
	if after := countDescriptors(t); after != before {
		t.Errorf("%d descriptors before and %d after", before, after)
	}
}

func TestAReactorThatCannotStartLeavesNothing(t *testing.T) {
	before, highest := countDescriptors(t), highestDescriptor(t)
	withDescriptors(t, func(uint64) uint64 { return uint64(highest + 20) }) // those below it may be free
	if _, err := New(Options{Loops: 5000}); !errors.Is(err, unix.EMFILE) {
		t.Errorf("New: %v, want %v", err, unix.EMFILE)
	}
	if after := countDescriptors(t); after != before {
		t.Errorf("%d descriptors before and %d after", before, after)
	}
}

// fullBacklog returns an address to which connects get no answer.
func fullBacklog(t *testing.T) (addr netip.AddrPort) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	addr = socket.LocalAddr(int32(fd))
	for range 4 { // the queue takes one more than its length
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(c) })
		if err := socket.Connect(c, addr); err != 0 && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	return addr
}

func TestADialWithoutAnswerEndsAtItsDeadline(t *testing.T) {
	full := fullBacklog(t)
	r := start(t, 1)
	l := r.Loops()[0]
	do(t, l, func() error {
		if _, err := l.Dial(full, DialOptions{Deadline: l.Now().Add(brief)}); !errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.New("no timeout")
		}
		return nil
	})
}
