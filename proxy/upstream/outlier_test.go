package upstream

import (
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

func TestFailuresOfAnEjectedServerDoNotCountWhenItIsBack(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) {
		p.Outlier = proxy.Outlier{Consecutive: 3, Eject: 10 * time.Second, MaxEjected: 0.5}
	}), nil)
	s := p.Servers()[0]
	for range 11 {
		p.Again(s, start)
	}
	for range 11 { // it is ejected at the third; the others began before
		s.End(at(1), Outcome{Result: Failure})
	}
	fail(p, s, at(20), 1)
	if !s.Eligible(at(20)) {
		t.Error("ejected for one failure")
	}
}
