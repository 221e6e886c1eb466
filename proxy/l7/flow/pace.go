package flow

import (
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
)

// Pace holds the body of a message to a minimum rate. Only the time in which the
// client was waited for counts: a server that is slow is no fault of the client's.
type Pace struct {
	Rate   int64         // bytes a second; 0: any
	Idle   time.Duration // longest silence; 0: any
	moved  int64
	waited time.Duration
}

// Never is a wait without an end.
const Never = reactor.Unlimited

// Allowance returns for how long the client may be waited for now.
func (p *Pace) Allowance() time.Duration {
	longest := p.Idle
	if longest == 0 {
		longest = Never
	}
	if p.Rate == 0 {
		return longest
	}
	// What has come pays for time; in floats, because bytes times nanoseconds overflow.
	paid := float64(p.moved) / float64(p.Rate) * float64(time.Second)
	left := float64(proxy.MinRateGrace) + paid - float64(p.waited)
	return time.Duration(min(float64(longest), max(left, 0)))
}

// Took notes that n bytes moved after a wait.
func (p *Pace) Took(n int, waited time.Duration) {
	p.moved += int64(n)
	p.waited += waited
}
