package upstream

import (
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// What was served in the good times is no licence for the bad ones: a long stretch
// without a retry leaves no more in the purse than a busy one.
func TestBudgetForgetsRequestsThatNobodyRetried(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) { p.Retry.Budget = 0.2 }), nil)
	for i := range 100_000 { // 100 a second
		now := start.Add(time.Duration(i) * 10 * time.Millisecond)
		s, _ := p.Pick(&Ask{Now: now})
		s.End(now, Outcome{})
	}
	retries := 0
	for p.Retry(at(1000)) {
		retries++
	}
	if most := 100*10/5 + budgetFloor; retries > most {
		t.Errorf("%d retries at once after 100,000 requests in 1,000 s, want at most %d", retries, most)
	}
}
