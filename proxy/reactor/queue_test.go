package reactor

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor/slots"
)

func TestTheRunQueueKeepsItsOrderWhileItGrows(t *testing.T) {
	var q queue
	var conns [500]Conn
	in, out := 0, 0
	for in < len(conns) || q.n > 0 {
		for range min(7, len(conns)-in) {
			q.push(runnable{conn: &conns[in]})
			in++
		}
		for range min(3, q.n) {
			if r := q.pop(); r.conn != &conns[out] {
				t.Fatalf("item %d is out of order", out)
			}
			out++
		}
	}
	if out != len(conns) {
		t.Errorf("%d items came out of %d", out, len(conns))
	}
}

func TestAnEventOfAClosedConnectionFindsNothing(t *testing.T) {
	var s slots.Slots[Conn]
	first, second := &Conn{}, &Conn{}
	key, generation := s.Put(first)
	if got := s.Get(key, generation); got != first {
		t.Fatalf("get(%d, %d) = %p, want the connection", key, generation, got)
	}
	s.Remove(key)
	if got := s.Get(key, generation); got != nil {
		t.Error("get found a removed connection")
	}
	again, later := s.Put(second)
	if again != key {
		t.Errorf("slot %d was not used again, but %d", key, again)
	}
	if got := s.Get(key, generation); got != nil {
		t.Error("an old event found the successor")
	}
	if got := s.Get(again, later); got != second {
		t.Error("the successor is not found")
	}
	if got := s.Get(99, 0); got != nil {
		t.Error("get found a slot that never was")
	}
}

// The same on a loop: what epoll says of a closed connection does not reach the
// one that got its slot, and perhaps its descriptor, within the batch.
func TestAStaleEventDoesNotReachTheSuccessor(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	silent := dialled(t, r).RemoteAddrPort()
	do(t, l, func() error {
		first, err := l.Dial(silent, DialOptions{})
		if err != nil {
			return err
		}
		key := first.slot
		_, generation := l.conns.At(int(key))
		first.Close()
		second, err := l.Dial(silent, DialOptions{})
		if err != nil {
			return err
		}
		defer second.Close()
		if second.slot != key {
			return fmt.Errorf("slot %d was not used again: nothing was tested", key)
		}
		before := second.flags
		l.deliver(key, generation, unix.EPOLLIN|unix.EPOLLHUP)
		if second.flags != before {
			return errors.New("the successor took the event for its own")
		}
		return nil
	})
}
