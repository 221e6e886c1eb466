package upstream

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// Health is what is known of a server.
type Health uint8

// A server is used while its health is Unknown or Up.
const (
	Unknown Health = iota // nothing has been heard of it yet, or not lately
	Up
	Down
)

// String returns the health as the status shows it.
func (h Health) String() string {
	switch h {
	case Unknown:
		return "unknown"
	case Up:
		return "up"
	case Down:
		return "down"
	default:
		panic(fmt.Sprintf("upstream: unhandled health %d", uint8(h)))
	}
}

// Without a check, a server that refuses uncheckedFall connects in a row is set
// aside, and tried again after asideFor: nothing but a connect can tell that it
// is back.
const (
	uncheckedFall = 3
	asideFor      = 5 * time.Second
)

// health is the state machine of one server.
//
//	          first check good                 `fall` failures
//	Unknown ---------------------> Up <------------------------> Down
//	   |                                 `rise` good checks        ^
//	   +-----------------------------------------------------------+
//	                       first failure
//
// Without a check, Down ends by itself, in Unknown, when asideFor is over.
type health struct {
	check  proxy.Check
	state  Health
	since  time.Time
	reason string

	good        int       // good checks in a row
	badChecks   int       // failed checks in a row
	badConnects int       // failed connects in a row
	until       time.Time // end of a Down without a check; else zero
}

func (h *health) checked() bool { return h.check.Kind != proxy.CheckNone }

func (h *health) become(now time.Time, s Health, reason string) {
	if h.state != s {
		h.since = now
	}
	h.state, h.reason, h.until = s, reason, time.Time{}
}

// expire ends a Down without a check.
func (h *health) expire(now time.Time) {
	if !h.until.IsZero() && !now.Before(h.until) {
		h.become(h.until, Unknown, "tried again after: "+h.reason)
	}
}

// checkPassed takes in a good check.
func (h *health) checkPassed(now time.Time, evidence string) {
	h.good++
	h.badChecks, h.badConnects = 0, 0
	if h.state == Down && h.good < h.check.Rise {
		h.reason = fmt.Sprintf("%s (%d of %d good checks)", evidence, h.good, h.check.Rise)
		return
	}
	h.become(now, Up, evidence)
}

// checkFailed takes in a failed check.
func (h *health) checkFailed(now time.Time, evidence string) {
	h.badChecks++
	h.failed(now, evidence)
}

// connected takes in a connect that succeeded.
func (h *health) connected(now time.Time) {
	h.expire(now)
	h.badConnects = 0
	// A server that accepts connections may still fail its check, so that with a
	// check a connect proves nothing.
	if !h.checked() && h.state == Unknown {
		h.become(now, Up, "connected")
	}
}

// connectFailed takes in a connect that failed.
func (h *health) connectFailed(now time.Time, evidence string) {
	h.expire(now)
	if h.state == Down {
		return // connects that began before the verdict
	}
	h.badConnects++
	if h.checked() {
		h.failed(now, evidence)
		return
	}
	if h.badConnects < uncheckedFall {
		h.reason = fmt.Sprintf("%s (%d of %d failures)", evidence, h.badConnects, uncheckedFall)
		return
	}
	h.become(now, Down, evidence)
	h.until = now.Add(asideFor)
}

// failed judges by the streaks of failed checks and connects.
func (h *health) failed(now time.Time, evidence string) {
	h.good = 0
	if bad := h.badChecks + h.badConnects; h.state == Up && bad < h.check.Fall {
		h.reason = fmt.Sprintf("%s (%d of %d failures)", evidence, bad, h.check.Fall)
		return
	}
	h.become(now, Down, evidence)
}
