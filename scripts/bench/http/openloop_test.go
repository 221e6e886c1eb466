package main

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/scripts/bench/side"
	"github.com/tandemlb/tandem/scripts/bench/web"
	"github.com/tandemlb/tandem/scripts/bench/web/webtest"
)

func TestOpenLoopSendsAtItsRate(t *testing.T) {
	o := openLoop{rate: 1000, period: 2 * time.Second}
	for _, test := range []struct {
		elapsed time.Duration
		due     int
	}{
		{0, 1},
		{999 * time.Microsecond, 1},
		{time.Millisecond, 2},
		{1500 * time.Millisecond, 1501},
		{2 * time.Second, 2000},
		{time.Hour, 2000},
	} {
		if got := o.requestsDue(test.elapsed); got != test.due {
			t.Errorf("after %v: got %d requests, want %d", test.elapsed, got, test.due)
		}
	}
	if got, want := o.intended(1500), 1500*time.Millisecond; got != want {
		t.Errorf("request 1500: got %v, want %v", got, want)
	}
}

func TestOpenLoopCountsEveryRequest(t *testing.T) {
	o := openLoop{
		address:     netip.MustParseAddrPort(webtest.Start(t)),
		connections: 3, rate: 2000, period: 100 * time.Millisecond,
	}
	got, err := o.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.latencies) != 200 || got.failed != 0 {
		t.Errorf("got %d answers and %d failures, want 200 and none", len(got.latencies), got.failed)
	}
	if !slices.IsSorted(got.latencies) || got.latencies[0] <= 0 {
		t.Errorf("latencies are not sorted, or not above zero: the first is %v", got.latencies[0])
	}
}

func TestTimerFiresAgainAndAgain(t *testing.T) {
	g, err := newGenerator(openLoop{
		address:     netip.MustParseAddrPort(webtest.Start(t)),
		connections: 1, rate: 1000, period: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	// Nothing was sent, so that nothing but the timer, or the limit, ends a wait.
	const waits = 5
	for range waits {
		if err := g.wait(make([]unix.EpollEvent, 2)); err != nil {
			t.Fatal(err)
		}
	}
	if g.ticks != waits {
		t.Errorf("got %d ticks in %d waits", g.ticks, waits)
	}
}

func TestOpenLoopCountsFailures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// It answers the first request of a connection, and ends the connection at the
	// second.
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, len(web.SmallRequest))
				if _, err := io.ReadFull(c, buf); err != nil {
					return
				}
				if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
					return
				}
				_, _ = io.ReadFull(c, buf)
			}()
		}
	}()
	o := openLoop{
		address:     netip.MustParseAddrPort(l.Addr().String()),
		connections: 1, rate: 1000, period: 20 * time.Millisecond,
	}
	got, err := o.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.latencies) != 10 || got.failed != 10 {
		t.Errorf("got %d answers and %d failures, want 10 of each", len(got.latencies), got.failed)
	}
}

func TestLateRequestsCountFromWhenTheyWereDue(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const stall, count = 50 * time.Millisecond, 50
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		// The stall is of the first answer, so that it begins when requests are due.
		if _, err := io.ReadFull(c, make([]byte, len(web.SmallRequest))); err != nil {
			return
		}
		<-time.After(stall)
		if _, err := c.Write(web.Answers()[web.Small]); err != nil {
			return
		}
		_ = web.ServeConn(c, web.Answers())
	}()
	o := openLoop{
		address:     netip.MustParseAddrPort(l.Addr().String()),
		connections: 1, rate: count / stall.Seconds(), period: stall,
	}
	got, err := o.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// They were due all along the stall, and none could be answered before its end.
	// A client that waited with its questions would have seen the stall but once.
	if median := side.Quantile(got.latencies, 0.5); median < stall/4 {
		t.Errorf("got a median of %v over a stall of %v in which the requests were due", median, stall)
	}
	// Most of them waited for the connection, which is not the client's fault.
	if len(got.late) > count/2 {
		t.Errorf("%d of %d requests were late by the client's own fault", len(got.late), count)
	}
}
