package l4

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
)

// rejected checks that a new connection is reset.
func (r *running) rejected(t *testing.T) {
	t.Helper()
	c, err := net.Dial("tcp", r.l.Addr().String())
	if err != nil { // the reset may be there before the connect has returned
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("dial: %v, want a reset", err)
		}
		return
	}
	defer c.Close()
	isReset(t, c)
}

// busy is a proxy before one server, which has all the connections that it may.
func busy(t *testing.T, change func(*proxy.Pool)) (r *running, last *net.TCPConn) {
	t.Helper()
	spec := pool(t, backend(t, echo)).Spec()
	spec.Servers[0].MaxConnections = 1
	change(&spec)
	r = start(t, repool(t, spec))
	last = r.dial(t)
	echoed(t, last)
	return r, last
}

func (r *running) waiting(t *testing.T, n int64) {
	t.Helper()
	eventually(t, "the length of the queue", func() bool { return r.pools["db"].Status(time.Now()).Waiting == n })
}

func TestConnectionsWaitForAPlace(t *testing.T) {
	for name, change := range map[string]func(*proxy.Pool){
		"at the server": func(p *proxy.Pool) { p.Limits.Queue = 2 },
		"in the pool":   func(p *proxy.Pool) { p.Limits.Queue, p.Limits.Connections, p.Servers[0].MaxConnections = 2, 1, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			r, last := busy(t, change)
			second := r.dial(t)
			r.waiting(t, 1)
			third := r.dial(t)
			r.waiting(t, 2)
			r.rejected(t)
			if got := r.server(0).Active; got != 1 {
				t.Errorf("%d connections at the server", got)
			}
			last.Close()
			echoed(t, second)
			r.waiting(t, 1)
			second.Close()
			echoed(t, third)
			third.Close()
			want := proxy.Traffic{Accepted: 4, Failed: 1, Refused: map[string]uint64{"queue_full": 1}}
			if diff := cmp.Diff(want, r.settle(t)); diff != "" {
				t.Errorf("traffic (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithoutAQueueAFullServerRejects(t *testing.T) {
	r, last := busy(t, func(*proxy.Pool) {})
	r.rejected(t)
	echoed(t, last)
	last.Close()
	if got := r.settle(t); got.Failed != 1 || got.Refused["queue_full"] != 1 {
		t.Errorf("traffic %+v", got)
	}
	echoed(t, r.dial(t))
}

func TestTheWaitForAPlaceIsBounded(t *testing.T) {
	r, last := busy(t, func(p *proxy.Pool) { p.Limits.Queue, p.Limits.QueueTimeout = 5, 50*time.Millisecond })
	r.rejected(t)
	echoed(t, last)
	last.Close()
	if got := r.settle(t); got.Failed != 1 || got.Refused["queue_timeout"] != 1 {
		t.Errorf("traffic %+v", got)
	}
	r.waiting(t, 0)
}

func TestAClientThatLeavesLeavesTheQueue(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"with a reset":    reset,
		"without a word":  func(c *net.TCPConn) { c.Close() },
		"half and silent": func(c *net.TCPConn) { c.CloseWrite() },
		"with a reset, after its question": func(c *net.TCPConn) {
			io.WriteString(c, "question")
			c.CloseWrite()
			reset(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, last := busy(t, func(p *proxy.Pool) { p.Limits.Queue = 5 })
			c := r.dial(t)
			r.waiting(t, 1)
			leave(c)
			r.waiting(t, 0)
			echoed(t, last)
			last.Close()
			if diff := cmp.Diff(proxy.Traffic{Accepted: 2}, r.settle(t)); diff != "" {
				t.Errorf("traffic (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAClientThatHasSaidAllStaysInTheQueue(t *testing.T) {
	r, last := busy(t, func(p *proxy.Pool) { p.Limits.Queue = 5 })
	c := r.dial(t)
	io.WriteString(c, "question")
	c.CloseWrite()
	r.waiting(t, 1)
	echoed(t, last)
	last.Close()
	if got, err := io.ReadAll(c); err != nil || string(got) != "question" {
		t.Errorf("echo %q, %v", got, err)
	}
}

func TestShutdownEndsTheQueue(t *testing.T) {
	r, _ := busy(t, func(p *proxy.Pool) { p.Limits.Queue = 5 })
	c := r.dial(t)
	r.waiting(t, 1)
	r.abort(t)
	isReset(t, c)
	r.waiting(t, 0)
	r.settle(t)
}

func TestConnectsAreTriedAgainWithinBounds(t *testing.T) {
	for name, tc := range map[string]struct {
		retry  proxy.Retry
		served bool
		tries  uint64
	}{
		"no attempt beyond the first": {proxy.Retry{}, false, 1},
		"one":                         {proxy.Retry{Attempts: 1}, false, 2},
		"as many as it takes":         {proxy.Retry{Attempts: 2}, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			spec := pool(t, reactortest.Refusing(t), reactortest.Refusing(t), backend(t, echo)).Spec()
			spec.Retry = tc.retry
			r := start(t, repool(t, spec))
			if tc.served {
				c := r.dial(t)
				echoed(t, c)
				c.Close()
			} else {
				r.rejected(t)
			}
			r.settle(t)
			if got := r.server(0).Failed + r.server(1).Failed; got != tc.tries {
				t.Errorf("%d attempts have failed, want %d", got, tc.tries)
			}
			if st := r.pools["db"].Status(time.Now()); st.Retrying != 0 {
				t.Errorf("%d retries never end", st.Retrying)
			}
		})
	}
}

func TestRetriesStopWhenTheBudgetIsSpent(t *testing.T) {
	spec := pool(t, reactortest.Refusing(t), reactortest.Refusing(t)).Spec()
	spec.Retry = proxy.Retry{Attempts: 5}
	spec.Check = proxy.Check{Kind: proxy.CheckTCP, Fall: 1000} // they are not set aside
	p := repool(t, spec)
	for _, s := range p.Servers() {
		s.CheckPassed(time.Now(), "it seems so")
	}
	r := start(t, p)
	for range 10 {
		r.rejected(t)
	}
	r.settle(t)
	if st := p.Status(time.Now()); st.Retries == 0 || st.RetriesRefused == 0 {
		t.Errorf("%d retries, and %d refused", st.Retries, st.RetriesRefused)
	}
}

func TestAServerThatWillHaveNobodyIsEjected(t *testing.T) {
	spec := pool(t, backend(t, reset), backend(t, echo)).Spec()
	spec.Outlier = proxy.Outlier{Consecutive: 2, Eject: time.Minute, MaxEjected: 1}
	r := start(t, repool(t, spec))
	eventually(t, "the ejection", func() bool {
		c, err := net.Dial("tcp", r.l.Addr().String())
		if err == nil {
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
			c.Close()
		}
		return r.server(0).Ejections == 1
	})
	for range 4 {
		echoed(t, r.dial(t))
	}
	if got := r.server(1).Ejections; got != 0 {
		t.Errorf("the other one was ejected, too")
	}
}

func TestOneWhoWaitsGoesToTheServerOfANewConfig(t *testing.T) {
	other := netip.MustParseAddrPort(backend(t, echo))
	r, _ := busy(t, func(p *proxy.Pool) { p.Limits.Queue = 2 })
	c := r.dial(t)
	r.waiting(t, 1)
	r.repool(t, "db", func(p *proxy.Pool) { p.Servers[0].Address, p.Servers[0].Name = other, "other" })
	echoed(t, c)
}
