package l7

import (
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
)

// A pace holds the body of a message to a minimum rate. Only the time in which the
// client was waited for counts: a server that is slow is no fault of the client's.
type pace struct {
	rate   int64         // bytes a second; 0: any
	idle   time.Duration // longest silence; 0: any
	moved  int64
	waited time.Duration
}

// never is a wait without an end.
const never = reactor.Unlimited

// allowance returns for how long the client may be waited for now.
func (p *pace) allowance() time.Duration {
	longest := p.idle
	if longest == 0 {
		longest = never
	}
	if p.rate == 0 {
		return longest
	}
	// What has come pays for time; in floats, because bytes times nanoseconds overflow.
	paid := float64(p.moved) / float64(p.rate) * float64(time.Second)
	left := float64(proxy.MinRateGrace) + paid - float64(p.waited)
	return time.Duration(min(float64(longest), max(left, 0)))
}

// took notes that n bytes moved after a wait.
func (p *pace) took(n int, waited time.Duration) {
	p.moved += int64(n)
	p.waited += waited
}
