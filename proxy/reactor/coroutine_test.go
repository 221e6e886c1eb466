package reactor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestPostsAreRunInOrderWhateverTheLoopDoes(t *testing.T) {
	r := start(t, 2)
	const senders, posts = 16, 2000
	for _, l := range r.Loops() {
		var next [senders]int // of the loop
		var wg sync.WaitGroup
		done := make(chan struct{}, senders)
		for s := range senders {
			wg.Go(func() {
				for i := range posts {
					err := l.Post(func() {
						if next[s] != i {
							t.Errorf("sender %d: %d came, not %d", s, i, next[s])
						}
						if next[s]++; next[s] == posts {
							done <- struct{}{}
						}
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for range senders {
			receive(t, "the last post", done)
		}
	}
}

// One post at a time, to a loop that falls asleep in between: a wake-up that gets
// lost stops the test.
func TestNoWakeUpIsLost(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	back := make(chan int)
	for i := range 20000 {
		if err := l.Post(func() { go func() { back <- i }() }); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, "a post", back); got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
	}
}

func TestAwaitParksOnlyItsCaller(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	do(t, l, func() error {
		release := make(chan struct{})
		order := ""
		waiting := l.Go(func() {
			l.Await(func() { <-release })
			order += "awaited"
		})
		other := l.Go(func() { order += "meanwhile " })
		other.Wait()
		close(release)
		waiting.Wait()
		if want := "meanwhile awaited"; order != want {
			return fmt.Errorf("order %q, want %q", order, want)
		}
		return nil
	})
}

func TestAStormOfAwaits(t *testing.T) {
	r := start(t, 2)
	var ended atomic.Int32
	var wg sync.WaitGroup
	for _, l := range r.Loops() {
		for range 500 {
			wg.Add(1)
			if err := l.Post(func() {
				l.Go(func() {
					defer wg.Done()
					for range 10 {
						n := 0
						l.Await(func() { n++; runtime.Gosched() })
						ended.Add(int32(n))
					}
				})
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }()
	receive(t, "all awaits", all)
	if got := ended.Load(); got != 10000 {
		t.Errorf("%d functions ran, want 10000", got)
	}
}

func TestOnlyWhatPanicsEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		fail func(l *Loop)
		want string
	}{
		{"a panic", func(*Loop) { panic("so be it") }, "so be it"},
		{"a panic after a wait", func(l *Loop) { l.Sleep(1); panic("so be it") }, "so be it"},
		{"a nil dereference", func(*Loop) { var c *Conn; c.fd++ }, "nil pointer"},
		{"a panic in Await", func(l *Loop) { l.Await(func() { panic("elsewhere") }) }, "elsewhere"},
		{"Goexit", func(*Loop) { runtime.Goexit() }, "runtime.Goexit called on a loop"},
		{"Goexit after a wait", func(l *Loop) { l.Sleep(1); runtime.Goexit() }, "runtime.Goexit called on a loop"},
		{"Goexit in Await", func(l *Loop) { l.Await(runtime.Goexit) }, "runtime.Goexit called in Await"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, 1)
			l := r.Loops()[0]
			ends := make(chan error, 4)
			_, addr := r.listen(t, ListenOptions{
				Serve: func(c *Conn) bool {
					var b [1]byte
					if n, err := c.TryRead(b[:]); n == 1 && b[0] == '!' {
						test.fail(l)
					} else if err != nil {
						return errors.Is(err, ErrWouldBlock)
					}
					c.Write(b[:])
					return true
				},
				Closed: func(_ *Conn, reason error) { ends <- reason },
			})
			healthy, failing := connectTo(t, addr), connectTo(t, addr)
			if err := ask(healthy, "a"); err != nil {
				t.Fatal(err)
			}
			if _, err := failing.Write([]byte("!")); err != nil {
				t.Fatal(err)
			}
			if err := receive(t, "the end of the failing connection", ends); !errors.Is(err, ErrPanicked) {
				t.Errorf("ended with %v, want %v", err, ErrPanicked)
			}
			if _, err := failing.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the failing client reads %v, want EOF", err)
			}
			if err := ask(healthy, "b"); err != nil {
				t.Errorf("the other connection: %v", err)
			}
			do(t, l, func() error {
				if err := l.Go(func() { test.fail(l) }).Wait(); !errors.Is(err, ErrPanicked) {
					return fmt.Errorf("a task ended with %w, want %w", err, ErrPanicked)
				}
				return nil
			})
			if got := r.Panics(); got != 2 {
				t.Errorf("Panics() = %d, want 2", got)
			}
			if got := r.panicText(); strings.Count(got, test.want) != 2 || strings.Contains(got, "without") {
				t.Errorf("reported %q, want %q twice", got, test.want)
			}
		})
	}
}

func TestACallbackThatPanicsOrExitsHarmsNothing(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	for _, f := range []func(){func() { panic("in a post") }, runtime.Goexit} {
		after := make(chan struct{})
		l.Post(f)
		l.Post(func() { close(after) })
		receive(t, "the post behind it", after)
	}
	if got := r.Panics(); got != 2 {
		t.Errorf("Panics() = %d, want 2", got)
	}
}

func TestWaitingOutsideACoroutineIsAClearPanic(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	c := dialled(t, r)
	for name, f := range map[string]func(){
		"Read":         func() { c.Read(nil) },
		"Write":        func() { c.Write(nil) },
		"WriteBuffers": func() { c.WriteBuffers() },
		"Sleep":        func() { l.Sleep(0) },
		"Await":        func() { l.Await(func() {}) },
		"Dial":         func() { l.Dial(c.RemoteAddrPort(), DialOptions{}) },
		"Splice":       func() { l.Splice(c, c, 0) },
		"Wait":         func() { l.Go(func() {}).Wait() },
	} {
		text := make(chan any, 1)
		l.Post(func() {
			defer func() { text <- recover() }()
			f()
		})
		want := "reactor: " + name + " may wait, and was called outside a coroutine of its loop"
		if got := receive(t, name, text); got != want {
			t.Errorf("%s panics with %v, want %q", name, got, want)
		}
	}
}

// dialled returns a connection to a server that is silent.
func dialled(t *testing.T, r *running) *Conn {
	t.Helper()
	release := make(chan struct{})
	addr := server(t, func(*net.TCPConn) { <-release })
	t.Cleanup(func() { close(release) }) // before the server is waited for
	var c *Conn
	do(t, r.Loops()[0], func() (err error) {
		c, err = r.Loops()[0].Dial(addr, DialOptions{})
		return err
	})
	return c
}

// A coroutine that could go on forever is made to share: the other connection is
// answered while it copies.
func TestABodyThatSpinsDoesNotStarveOthers(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	_, addr := r.listen(t, ListenOptions{Serve: echo})
	for _, test := range []struct {
		name string
		copy func(dst, src *Conn) error
	}{
		{"read and write", func(dst, src *Conn) error { return copyBytes(dst, src, 32<<10) }},
		{"small reads", func(dst, src *Conn) error { return copyBytes(dst, src, 16) }},
		{"splice", func(dst, src *Conn) error { _, err := l.Splice(dst, src, -1); return err }},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := server(t, func(c *net.TCPConn) {
				b := make([]byte, 1<<20)
				for {
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			})
			sink := server(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
			var src, dst *Conn
			var copying *Task
			do(t, l, func() (err error) {
				if src, err = l.Dial(source, DialOptions{}); err != nil {
					return err
				}
				if dst, err = l.Dial(sink, DialOptions{}); err != nil {
					return err
				}
				copying = l.Go(func() { test.copy(dst, src) })
				return nil
			})
			c := connectTo(t, addr)
			for i := range 100 {
				if err := ask(c, fmt.Sprint("message ", i)); err != nil {
					t.Fatal(err)
				}
			}
			do(t, l, func() error {
				if copying.done {
					return errors.New("the copy has ended: nothing was tested")
				}
				src.Close()
				dst.Close()
				return copying.Wait()
			})
		})
	}
}

func copyBytes(dst, src *Conn, size int) error {
	b := make([]byte, size)
	for {
		n, err := src.Read(b)
		if err != nil {
			return err
		}
		if _, err := dst.Write(b[:n]); err != nil {
			return err
		}
	}
}

// The same without a peer that could make the coroutine wait: the run budget
// itself, seen from a second coroutine.
func TestACoroutineYieldsAfterItsShare(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	c := dialled(t, r)
	do(t, l, func() error {
		turns := 0
		stop := false
		other := l.Go(func() {
			for !stop {
				turns++
				l.Sleep(0)
				l.budget = 0
				l.current("test").turn()
			}
		})
		for range 10 * runBudget / opCost {
			c.Write([]byte{1})
		}
		stop = true
		other.Wait()
		if turns < 9 || turns > 11 {
			return fmt.Errorf("another coroutine ran %d times, want about 10", turns)
		}
		return nil
	})
}
