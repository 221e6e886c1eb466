package reactor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

func TestAWakeBeforeTheWaitIsNotLost(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	w := l.NewWaiter()
	w.Wake()
	w.Wake() // adds nothing
	do(t, l, func() error {
		if err := w.Wait(time.Time{}, nil); err != nil {
			return fmt.Errorf("first wait: %w", err)
		}
		if err := w.Wait(l.Now().Add(brief), nil); !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("second wait: %w, want %w", err, os.ErrDeadlineExceeded)
		}
		return nil
	})
}

func TestAWakeCountsBeforeEverythingElse(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	gone := dialled(t, r)
	do(t, l, func() error {
		gone.Close()
		w := l.NewWaiter()
		w.Wake()
		if err := w.Wait(l.Now(), gone); err != nil {
			return fmt.Errorf("woken, late and without its client: %w", err)
		}
		w.Wake()
		w.Reset()
		if err := w.Wait(l.Now(), gone); !errors.Is(err, ErrHangup) {
			return fmt.Errorf("the wake was taken back: %w, want %w", err, ErrHangup)
		}
		return nil
	})
}

// Each wait ends for one wake at least, whoever calls it, and a storm of them breaks
// nothing: a lost one stops the test.
func TestWakesFromManyGoroutines(t *testing.T) {
	r := start(t, 2)
	for _, l := range r.Loops() {
		w := l.NewWaiter()
		const rounds, wakers = 2000, 4
		asked := make(chan bool, wakers)
		var all sync.WaitGroup
		for range wakers {
			all.Go(func() {
				for range asked {
					w.Wake()
				}
			})
		}
		do(t, l, func() error {
			for range rounds {
				asked <- true // has room: all of the last round were taken
				if err := w.Wait(l.Now().Add(patience), nil); err != nil {
					return err
				}
			}
			return nil
		})
		close(asked)
		all.Wait()
	}
}

func TestAWaitEndsAtItsDeadline(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	do(t, l, func() error {
		w := l.NewWaiter()
		for range 3 {
			by := l.Now().Add(brief)
			if err := w.Wait(by, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
				return fmt.Errorf("waited: %w, want %w", err, os.ErrDeadlineExceeded)
			}
			if l.Now().Before(by) {
				return fmt.Errorf("%v too early", by.Sub(l.Now()))
			}
		}
		return nil
	})
}

func TestAWaitEndsWithTheClient(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"closes":      func(c *net.TCPConn) { c.Close() },
		"resets":      func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"half-closes": func(c *net.TCPConn) { c.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, 1)
			l := r.Loops()[0]
			waiting, result := make(chan bool, 1), make(chan error, 1)
			_, addr := r.listen(t, ListenOptions{Serve: func(c *Conn) bool {
				w := l.NewWaiter()
				l.Go(func() { waiting <- true })
				err := w.Wait(time.Time{}, c)
				switch {
				case !errors.Is(err, ErrHangup):
				case c.watcher != nil:
					err = errors.New("the watch goes on after the wait")
				case !errors.Is(w.Wait(time.Time{}, c), ErrHangup):
					err = errors.New("a second wait does not see that the client is gone")
				}
				result <- err
				return false
			}, AtOnce: true})
			c := connectTo(t, addr)
			receive(t, "the wait", waiting)
			leave(c)
			if err := receive(t, "the end of the wait", result); !errors.Is(err, ErrHangup) {
				t.Errorf("ended with %v, want %v", err, ErrHangup)
			}
		})
	}
}

func TestAWaitEndsWhenItsConnectionIsClosedHere(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	c := dialled(t, r)
	do(t, l, func() error {
		l.Go(func() { c.Close() })
		if err := l.NewWaiter().Wait(time.Time{}, c); !errors.Is(err, ErrHangup) {
			return fmt.Errorf("ended with %w, want %w", err, ErrHangup)
		}
		return nil
	})
}

// A wait takes a watch over from a connection, and loses it to one.
func TestAConnectionHasOneWatcher(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	up, client := dialled(t, r), dialled(t, r)
	do(t, l, func() error {
		up.WatchHangup(client)
		w := l.NewWaiter()
		l.Go(func() {
			if up.watched != nil || client.watcher != watcher(w) {
				t.Error("the wait did not take the watch over")
			}
			up.WatchHangup(client)
			if w.watched != nil {
				t.Error("the connection did not take the watch back")
			}
			w.Wake()
		})
		if err := w.Wait(l.Now().Add(patience), client); err != nil {
			return err
		}
		if client.watcher != watcher(up) {
			return errors.New("the end of the wait ended the watch of another")
		}
		return nil
	})
}

func TestWaitsEndWithTheLoop(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	waiters := []*Waiter{l.NewWaiter(), l.NewWaiter()}
	result := make(chan error, len(waiters))
	do(t, l, func() error {
		l.Go(func() { result <- waiters[0].Wait(time.Time{}, nil) })
		l.Go(func() { result <- waiters[1].Wait(l.Now().Add(time.Hour), nil) })
		return l.Sleep(0)
	})
	r.stop()
	for range waiters {
		if err := receive(t, "the end of a wait", result); !errors.Is(err, net.ErrClosed) {
			t.Errorf("ended with %v, want %v", err, net.ErrClosed)
		}
	}
	waiters[0].Wake() // does no harm
}

func TestAWaiterIsForOneCoroutine(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	w := l.NewWaiter()
	do(t, l, func() error {
		first := l.Go(func() {
			if err := w.Wait(time.Time{}, nil); err != nil {
				t.Error(err)
			}
		})
		if err := l.Go(func() { w.Wait(time.Time{}, nil) }).Wait(); !errors.Is(err, ErrPanicked) {
			return fmt.Errorf("a second coroutine: %w, want %w", err, ErrPanicked)
		}
		w.Wake()
		return first.Wait()
	})
}

func TestAWaitAllocatesNothing(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	do(t, l, func() error {
		w := l.NewWaiter()
		if n := testing.AllocsPerRun(100, func() {
			w.Wake()
			w.Wait(l.Now().Add(time.Minute), nil)
			w.Wait(l.Now(), nil)
		}); n > 0.5 { // of the inbox, when it grows
			return fmt.Errorf("%v allocations for two waits", n)
		}
		return nil
	})
}
