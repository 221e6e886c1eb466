package check

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/upstream"
)

func server(t *testing.T, address string, check proxy.Check) *upstream.Server {
	t.Helper()
	p, err := upstream.NewPool(proxy.Pool{
		Name:    "web",
		Balance: proxy.RoundRobin,
		Check:   check,
		Servers: []proxy.Server{{Weight: 1, Name: address, Address: netip.MustParseAddrPort(address)}},
	}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p.Servers()[0]
}

// fake is a server that a Checker in a synctest bubble probes.
type fake struct {
	bad    atomic.Bool
	blind  atomic.Bool
	took   time.Duration // of a probe
	probes []time.Time   // when each began

	changes []upstream.Health
}

func (f *fake) probe(ctx context.Context, _ Way) (string, sight) {
	f.probes = append(f.probes, time.Now())
	select {
	case <-time.After(f.took):
		if f.blind.Load() {
			return "as told", sawNothing
		}
		if f.bad.Load() {
			return "as told", sawBad
		}
		return "as told", sawGood
	case <-ctx.Done():
		return "no answer in time", sawBad
	}
}

func (f *fake) start(t *testing.T, check proxy.Check) (c *Checker, stop func()) {
	s := server(t, "192.0.2.1:80", check)
	c = New(s, rand.New(rand.NewPCG(1, 2)), func(s *upstream.Server, v upstream.Verdict) {
		f.changes = append(f.changes, s.Status(time.Now()).Health)
	})
	c.probe = f.probe
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	return c, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
}

// gaps returns the times between the starts of the probes.
func (f *fake) gaps() (gaps []time.Duration) {
	for i := 1; i < len(f.probes); i++ {
		gaps = append(gaps, f.probes[i].Sub(f.probes[i-1]))
	}
	return gaps
}

// pass lets d pass in the bubble.
func pass(d time.Duration) { <-time.After(d) }

var every2s = proxy.Check{Kind: proxy.CheckTCP, Every: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3}

func TestProbesAtOnceThenAtTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		began := time.Now()
		_, stop := f.start(t, every2s)
		pass(time.Minute)
		stop()
		if len(f.probes) < 27 || len(f.probes) > 34 {
			t.Errorf("%d probes in a minute, want about 30", len(f.probes))
		}
		if !f.probes[0].Equal(began) {
			t.Errorf("first probe after %v, want at once", f.probes[0].Sub(began))
		}
		seen := make(map[time.Duration]bool)
		for _, gap := range f.gaps() {
			if gap < 1800*time.Millisecond || gap > 2200*time.Millisecond {
				t.Errorf("gap of %v between probes, want 2s +-10%%", gap)
			}
			seen[gap] = true
		}
		if len(seen) < 10 {
			t.Errorf("only %d different gaps, want jitter", len(seen))
		}
		if diff := cmp.Diff([]upstream.Health{upstream.Up}, f.changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
}

func TestSlowProbesAreCutShortAndNeverOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check := every2s
		check.Timeout = 10 * time.Second
		f := &fake{took: time.Hour}
		_, stop := f.start(t, check)
		pass(35 * time.Second)
		stop()
		want := []time.Duration{10 * time.Second, 10 * time.Second, 10 * time.Second}
		if diff := cmp.Diff(want, f.gaps()); diff != "" {
			t.Errorf("gaps between probes (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]upstream.Health{upstream.Down}, f.changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
}

func TestFollowsTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		_, stop := f.start(t, every2s)
		for _, bad := range []bool{false, true, false} {
			f.bad.Store(bad)
			pass(10 * time.Second)
			synctest.Wait()
		}
		stop()
		want := []upstream.Health{upstream.Up, upstream.Down, upstream.Up}
		if diff := cmp.Diff(want, f.changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
}

// A host that has no descriptor left says nothing of its servers.
func TestAProbeThatSeesNothingIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		_, stop := f.start(t, every2s)
		pass(10 * time.Second)
		f.blind.Store(true)
		pass(time.Minute)
		synctest.Wait()
		stop()
		if diff := cmp.Diff([]upstream.Health{upstream.Up}, f.changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
}

func TestNow(t *testing.T) {
	tests := []struct {
		name  string
		at    []time.Duration // when Now is called, three times each
		took  time.Duration
		probe []time.Duration // expected in the first second
	}{
		{"at once", []time.Duration{300 * time.Millisecond}, 0, []time.Duration{0, 300 * time.Millisecond}},
		{"not sooner than the gap", []time.Duration{10 * time.Millisecond}, 0, []time.Duration{0, minGap}},
		{"during a probe: one more after it", []time.Duration{100 * time.Millisecond}, 400 * time.Millisecond,
			[]time.Duration{0, 400 * time.Millisecond}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{took: tt.took}
				began := time.Now()
				c, stop := f.start(t, every2s)
				for _, at := range tt.at {
					pass(time.Until(began.Add(at)))
					for range 3 {
						c.Now()
					}
				}
				pass(time.Until(began.Add(time.Second)))
				stop()
				var got []time.Duration
				for _, p := range f.probes {
					got = append(got, p.Sub(began))
				}
				if diff := cmp.Diff(tt.probe, got); diff != "" {
					t.Errorf("probes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestStopDuringProbeIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{took: time.Hour}
		_, stop := f.start(t, every2s)
		synctest.Wait()
		stop()
		if len(f.changes) != 0 {
			t.Errorf("changes = %v, want none", f.changes)
		}
	})
}
