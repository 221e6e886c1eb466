package upstream

import (
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// The clock of a loop may be behind that of who made the pool.
func TestTimesBeforeThePoolDoNoHarm(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) {
		p.Breaker, p.Outlier = brittle, proxy.Outlier{Consecutive: 3, Eject: time.Minute, MaxEjected: 0.5}
		p.Balance = proxy.LeastResponseTime
	}), nil)
	for _, r := range []Result{Success, Failure, Neutral, Failure, Failure, Failure} {
		if s, why := p.Pick(&Ask{Now: at(-100)}); why == Picked {
			s.End(at(-100), Outcome{Result: r, Latency: time.Millisecond})
		}
	}
	p.Status(at(-100))
	if _, why := p.Pick(&Ask{Now: at(1000)}); why != Picked {
		t.Errorf("much later: %s", why)
	}
}
