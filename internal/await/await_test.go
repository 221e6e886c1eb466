package await

import (
	"errors"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newWaiter(t *testing.T) *Waiter {
	t.Helper()
	w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// wait expects Wait to return without an error.
func wait(t *testing.T, w *Waiter, deadline time.Time) {
	t.Helper()
	if err := w.Wait(deadline); err != nil {
		t.Fatal(err)
	}
}

func later() time.Time { return time.Now().Add(time.Hour) }

// pair returns two ends of a connection.
func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixgram"}
	a, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if b, err = net.DialUnix("unixgram", nil, address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}

func TestDeadline(t *testing.T) {
	w := newWaiter(t)
	wait(t, w, time.Now().Add(-time.Second)) // is over
	for range 10 {
		deadline := time.Now().Add(2 * time.Millisecond)
		wait(t, w, deadline)
		if early := time.Until(deadline); early > 0 {
			t.Errorf("returned %v before the deadline", early)
		}
	}
}

func TestDeadlineMayBeBroughtForward(t *testing.T) {
	w := newWaiter(t)
	w.Wake()
	wait(t, w, later())
	wait(t, w, time.Now().Add(time.Millisecond)) // would last an hour
	w.Wake()
	wait(t, w, time.Now().Add(time.Millisecond)) // woken, and the timer left as it is
	deadline := time.Now().Add(5 * time.Millisecond)
	for time.Now().Before(deadline) {
		wait(t, w, deadline)
	}
}

func TestWake(t *testing.T) {
	w := newWaiter(t)
	w.Wake() // before the Wait: not lost
	w.Wake()
	wait(t, w, later())
	go w.Wake() // during it
	wait(t, w, later())
}

// Nothing that was announced with Wake is overlooked, however often and from
// wherever.
func TestNoWakeIsLost(t *testing.T) {
	w := newWaiter(t)
	const wakers, each = 8, 2000
	var said atomic.Int64
	var wg sync.WaitGroup
	for range wakers {
		wg.Go(func() {
			for range each {
				said.Add(1)
				w.Wake()
			}
		})
	}
	for said.Load() < wakers*each {
		wait(t, w, later())
	}
	wg.Wait()
}

func TestReadable(t *testing.T) {
	w := newWaiter(t)
	a, b := pair(t)
	if err := w.Add(a); err != nil {
		t.Fatal(err)
	}
	go b.Write([]byte("x"))
	wait(t, w, later())
	wait(t, w, later()) // it still can be read
	if _, err := a.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}

	t.Log("# what is removed is not waited for")
	if err := w.Remove(a); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Millisecond)
	wait(t, w, deadline)
	if early := time.Until(deadline); early > 0 {
		t.Errorf("returned %v before the deadline", early)
	}
}

func TestErrors(t *testing.T) {
	w := newWaiter(t)
	a, _ := pair(t)
	if err := w.Remove(a); err == nil {
		t.Error("removed what was not added")
	}
	a.Close()
	if err := w.Add(a); !errors.Is(err, net.ErrClosed) {
		t.Errorf("added what is closed: %v", err)
	}
}

func TestCloseEndsAWait(t *testing.T) {
	w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	go w.Close()
	if err := w.Wait(later()); err == nil {
		t.Error("Wait returned no error")
	}
}

func BenchmarkBeat(b *testing.B) {
	w, err := New()
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	for b.Loop() {
		if err := w.Wait(time.Now().Add(100 * time.Microsecond)); err != nil {
			b.Fatal(err)
		}
	}
}
