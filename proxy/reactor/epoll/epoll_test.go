package epoll

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) *Poller {
	t.Helper()
	p := &Poller{}
	if err := p.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// waitFor waits without a limit for an event of key.
func waitFor(t *testing.T, p *Poller, base time.Time, key int32) {
	t.Helper()
	for {
		p.Wait(int64(time.Since(base)), 0, base)
		for _, e := range p.Events[:p.N] {
			if e.Fd == key {
				return
			}
		}
	}
}

func TestAWakeEndsTheWaitBeforeOrAfter(t *testing.T) {
	p, base := open(t), time.Now()
	p.Wake()
	waitFor(t, p, base, WakeKey)
	go p.Wake()
	waitFor(t, p, base, WakeKey)
}

func TestEventsCarryWhatTheyWereGiven(t *testing.T) {
	p, base := open(t), time.Now()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := int(r.Fd())
	if err := p.Add(fd, unix.EPOLLIN, 7, 1<<31+5); err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, p, base, 7)
	if got := uint32(p.Events[p.N-1].Pad); got != 1<<31+5 {
		t.Errorf("generation %d", got)
	}
	if err := p.Control(unix.EPOLL_CTL_MOD, fd, 0, 7, 0); err != nil {
		t.Fatal(err)
	}
	if p.Poll(); p.N != 0 {
		t.Errorf("%d events of a descriptor that is not watched for any", p.N)
	}
	if err := p.Add(fd, unix.EPOLLIN, 7, 0); err == nil {
		t.Error("added twice")
	}
}

func TestAWaitEndsAtItsDeadline(t *testing.T) {
	p, base := open(t), time.Now()
	for _, far := range []time.Duration{time.Hour, 2 * time.Millisecond, time.Millisecond} { // each nearer than the last
		if far == time.Hour {
			p.Wake() // arms a deadline that must be moved
		}
		now := time.Since(base)
		until := now + far
		p.Wait(int64(now), int64(until), base)
		if far != time.Hour && p.N == 0 && time.Since(base) < until-far {
			t.Error("ended before it began")
		}
	}
	// It returns at all: a deadline that stays an hour away stops the test.
}
