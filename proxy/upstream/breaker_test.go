package upstream

import (
	"testing"

	"github.com/tandemlb/tandem/proxy"
)

// broken is a pool whose first server's breaker is open, while requests are on their
// way that began before.
func broken(t *testing.T, before int) (*Pool, *Server) {
	t.Helper()
	p := mustPool(t, spec(func(p *proxy.Pool) { p.Breaker = brittle }), nil)
	s := p.Servers()[0]
	for range before {
		p.Again(s, start)
	}
	fail(p, s, at(1), 4)
	return p, s
}

func TestRequestsFromBeforeTheBreakerOpenedAreNoProbes(t *testing.T) {
	for name, result := range map[string]Result{"success": Success, "failure": Failure, "neutral": Neutral} {
		t.Run(name, func(t *testing.T) {
			p, s := broken(t, 5)
			now := at(7)
			for range 5 {
				s.End(now, Outcome{Result: result, Began: start})
			}
			if got := s.Status(now).Breaker.State; got != HalfOpen {
				t.Errorf("%s without a probe", got)
			}
			n := 0
			for n < 10 && p.Again(s, now) {
				n++
			}
			if n != probes {
				t.Errorf("%d probes, want %d", n, probes)
			}
		})
	}
}

func TestAProbeThatSaysNothingMayBeRepeatedOnce(t *testing.T) {
	p, s := broken(t, 0)
	for range probes {
		p.Again(s, at(7))
	}
	for range probes {
		s.End(at(30), Outcome{Result: Neutral, Began: at(7)})
	}
	n := 0
	for n < 10 && p.Again(s, at(30)) {
		n++
	}
	if n != probes {
		t.Errorf("%d probes, want %d", n, probes)
	}
}

// Lost probes are replaced in time. When they turn up after all there are not more.
func TestLateProbesAddNone(t *testing.T) {
	p, s := broken(t, 0)
	for range probes {
		p.Again(s, at(7))
	}
	if r, _ := p.Pick(&Ask{Now: at(30), Tried: p.Servers()[1:]}); r != s {
		t.Fatal("lost probes are not replaced")
	}
	for range probes {
		s.End(at(30), Outcome{Result: Neutral, Began: at(7)})
	}
	n := 1
	for n < 10 && p.Again(s, at(30)) {
		n++
	}
	if n > probes+1 {
		t.Errorf("%d probes", n)
	}
}
