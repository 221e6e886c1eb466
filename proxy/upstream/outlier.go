package upstream

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// maxEjections bounds how much longer an ejection gets with the number of those before.
const maxEjections = 10

// ejection is the setting aside of a server whose traffic fails, whatever its checks
// say. It ends by itself.
type ejection struct {
	until  int64 // in ns since the epoch; 0: it was never ejected
	level  int   // how many times Eject the present or the last one lasts
	reason string
	count  uint64
}

// eject sets s aside, unless too many of the pool are. It reports whether it did.
func (p *Pool) eject(s *Server, now int64, streak int) bool {
	p.shared.ejecting.Lock()
	defer p.shared.ejecting.Unlock()
	ejected, left := 0, 0
	for _, other := range p.servers {
		switch {
		case other == s:
		case other.ejected(now):
			ejected++
		case other.eligible(now) && other.State() == proxy.Ready && other.weight.Load() > 0:
			left++
		}
	}
	most := max(1, int(p.spec.Outlier.MaxEjected*float64(len(p.servers))))
	if left == 0 || ejected >= most {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &s.ejection
	if now < e.until {
		return false // others have been quicker
	}
	e.level = levelAt(e, now, p.spec.Outlier.Eject) + 1
	e.level = min(e.level, maxEjections)
	e.until = now + int64(e.level)*int64(p.spec.Outlier.Eject)
	e.count++
	e.reason = fmt.Sprintf("%d failures in a row", streak)
	s.streak.Store(0)
	s.shut.Store(s.shutUntil())
	return true
}

// levelAt returns what is left at now of the level of the last ejection: each Eject of
// good conduct takes one away.
func levelAt(e *ejection, now int64, eject time.Duration) int {
	if e.until == 0 || eject <= 0 {
		return 0
	}
	return max(0, e.level-int((now-e.until)/int64(eject)))
}

func (s *Server) ejected(now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now < s.ejection.until
}
