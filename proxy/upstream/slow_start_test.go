package upstream

import (
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// A server that nobody checks comes back by itself, and starts slowly from then on,
// whoever has looked at it meanwhile.
func TestAnUncheckedServerThatIsBackStartsSlowly(t *testing.T) {
	for name, look := range map[string]bool{"unseen": false, "seen by a status": true} {
		t.Run(name, func(t *testing.T) {
			p := mustPool(t, spec(func(p *proxy.Pool) { p.Check, p.SlowStart = proxy.Check{}, 10*time.Second }), nil)
			s := p.Servers()[0]
			for range uncheckedFall {
				s.ConnectFailed(start, "refused")
			}
			back := start.Add(asideFor)
			if look {
				s.Status(back)
			}
			if got := s.Status(back.Add(time.Second)).Weight; got > 0.2 {
				t.Errorf("before the first connect: a weight of %g", got)
			}
			s.Connected(back.Add(time.Second))
			if got := s.Status(back.Add(2 * time.Second)).Weight; got > 0.3 {
				t.Errorf("after it: a weight of %g", got)
			}
			if got := s.Status(back.Add(20 * time.Second)).Weight; got != 1 {
				t.Errorf("in the end: a weight of %g", got)
			}
		})
	}
}
