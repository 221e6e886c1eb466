package netio

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// watchLinks returns a function that waits for the next event about eth0.
func (h host) watchLinks() (next func() LinkEvent) {
	h.t.Helper()
	return h.runLinks(h.openLinks())
}

func (h host) openLinks() *Links {
	h.t.Helper()
	var l *Links
	h.do(func() {
		var err error
		l, err = WatchLinks()
		must(h.t, err)
	})
	return l
}

// runLinks runs l until the end of the test.
func (h host) runLinks(l *Links) (next func() LinkEvent) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				h.t.Errorf("Run = %v after its context was done, want nil", err)
			}
		case <-time.After(10 * time.Second):
			h.t.Error("Run goes on 10 s after its context was done")
		}
	})
	return func() LinkEvent {
		h.t.Helper()
		timeout := time.After(10 * time.Second)
		for {
			select {
			case e := <-l.Events():
				if e.Name == "eth0" {
					return e
				}
			case <-timeout:
				h.t.Fatal("no event within 10 s")
			}
		}
	}
}

func TestLinkEvents(t *testing.T) {
	a, b := newHosts(t)
	index := a.link().Attrs().Index
	next := a.watchLinks()
	expect := func(what string, want LinkEvent) {
		t.Helper()
		if diff := cmp.Diff(want, next()); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", what, diff)
		}
	}
	expect("as it is", LinkEvent{Name: "eth0", Up: true, Index: index})

	b.down()
	expect("other end down", LinkEvent{Name: "eth0", Index: index})
	b.up()
	expect("other end up", LinkEvent{Name: "eth0", Up: true, Index: index})

	a.down()
	expect("this end down", LinkEvent{Name: "eth0", Index: index})
	a.up()
	expect("this end up", LinkEvent{Name: "eth0", Up: true, Index: index})

	must(t, a.nl.LinkDel(a.link()))
	expect("deleted", LinkEvent{Name: "eth0", Index: index})
	cable(a, b)
	again := next()
	for !again.Up {
		again = next()
	}
	if again.Index == index {
		t.Errorf("event %+v of the new interface has the index of the old", again)
	}
}

func TestRunEndsWhileNobodyListens(t *testing.T) {
	a, _ := newHosts(t)
	a.watchLinks() // the cleanup of which checks that Run ends, with an event undelivered
}

func TestRunReportsAClosedSubscription(t *testing.T) {
	a, _ := newHosts(t)
	l := a.openLinks()
	l.close()
	if err := l.Run(context.Background()); err == nil {
		t.Error("Run = nil on a closed subscription")
	}
}

func TestLinkEventsAfterAnOverflow(t *testing.T) {
	a, b := newHosts(t)
	l := a.openLinks()
	const smallest = 1 // the kernel raises it to its minimum
	must(t, l.news.SetReceiveBufferSize(smallest, false))
	for range 50 {
		a.down()
		a.up()
	}
	b.down()
	next := a.runLinks(l)
	t.Log("# the last event is the truth, though the message about it was lost")
	e := next()
	for e.Up {
		e = next()
	}
	b.up()
	for !e.Up {
		e = next()
	}
}
