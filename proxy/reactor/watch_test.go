package reactor

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// packets returns the two ends of a pair of datagram sockets that do not wait.
func packets(t *testing.T) (ours, theirs int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

// watched collects what comes on a descriptor.
func watched(t *testing.T, l *Loop, fd int) (got chan string, stop func()) {
	t.Helper()
	got = make(chan string, 100)
	do(t, l, func() (err error) {
		stop, err = l.Watch(fd, func() {
			var b [64]byte
			for {
				n, errno := socket.Recv(int32(fd), b[:], 0)
				if errno != 0 {
					return
				}
				got <- string(b[:n])
			}
		})
		return err
	})
	return got, stop
}

func TestAWatchCallsForEveryArrival(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	ours, theirs := packets(t)
	if _, err := unix.Write(theirs, []byte("before the watch")); err != nil {
		t.Fatal(err)
	}
	got, stop := watched(t, l, ours)
	if text := receive(t, "what was there already", got); text != "before the watch" {
		t.Errorf("got %q", text)
	}
	for i := range 50 {
		want := fmt.Sprint("datagram ", i)
		if _, err := unix.Write(theirs, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if text := receive(t, want, got); text != want {
			t.Errorf("got %q, want %q", text, want)
		}
	}
	do(t, l, func() error { stop(); stop(); return nil })
}

func TestAStoppedWatchIsSilent(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	ours, theirs := packets(t)
	calls := 0
	do(t, l, func() error {
		stop, err := l.Watch(ours, func() { calls++ })
		if err != nil {
			return err
		}
		// Its event is of this turn or the next; it has been noted when the second ends.
		if _, err := unix.Write(theirs, []byte("x")); err != nil {
			return err
		}
		stop()
		l.Sleep(brief)
		if calls != 0 {
			return fmt.Errorf("%d calls after the stop", calls)
		}
		// Its slot is for the next one.
		again, err := l.Watch(ours, func() { calls += 100 })
		if err != nil {
			return err
		}
		defer again()
		l.Sleep(brief)
		if calls != 100 {
			return fmt.Errorf("calls %d, want the second watch's alone", calls)
		}
		return nil
	})
}

// One that reads a part goes on by posting itself, after others have had their turn.
func TestAWatchGoesOnByPosting(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	ours, theirs := packets(t)
	done := make(chan string, 1)
	do(t, l, func() error {
		order := ""
		var read func()
		read = func() {
			var b [1]byte
			if _, errno := socket.Recv(int32(ours), b[:], 0); errno != 0 {
				done <- order
				return
			}
			order += string(b[:])
			l.Post(read)
		}
		for _, text := range []string{"a", "b", "c"} {
			if _, err := unix.Write(theirs, []byte(text)); err != nil {
				return err
			}
		}
		_, err := l.Watch(ours, read)
		return err
	})
	if got := receive(t, "all of it", done); got != "abc" {
		t.Errorf("read %q, want abc", got)
	}
}

func TestAWatchThatPanicsIsCountedAndGoesOn(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	ours, theirs := packets(t)
	calls := make(chan bool, 10)
	do(t, l, func() error {
		_, err := l.Watch(ours, func() {
			calls <- true
			panic("in a watch")
		})
		return err
	})
	for range 2 {
		if _, err := unix.Write(theirs, []byte("x")); err != nil {
			t.Fatal(err)
		}
		receive(t, "a call", calls)
	}
	until(t, "both are counted", func() bool { return r.Panics() == 2 })
	if got := r.panicText(); !strings.Contains(got, "in a watch") {
		t.Errorf("reported %q", got)
	}
}

func TestAWatchThatCannotBe(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	do(t, l, func() error {
		if _, err := l.Watch(-1, func() {}); !errors.Is(err, unix.EBADF) {
			return fmt.Errorf("no descriptor: %w, want %w", err, unix.EBADF)
		}
		l.shutdown()
		ours, _ := packets(t)
		if _, err := l.Watch(ours, func() {}); !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("at the end: %w, want %w", err, net.ErrClosed)
		}
		return nil
	})
}
