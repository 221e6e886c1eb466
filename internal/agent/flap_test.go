package agent

import (
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

// warned keeps what is logged as a warning.
type warned struct {
	nowhere
	said []map[string]any
}

func (w *warned) log(level, _ string, fields map[string]any) {
	if level == "warn" {
		w.said = append(w.said, fields)
	}
}

// RFC 9568, 2.5: flapping that a short interval brings about by itself should be
// logged. Here a better router is heard and lost, again and again.
func TestFlappingIsToldOnce(t *testing.T) {
	s := newSolo(t, numbered(51))
	w := &warned{}
	s.out.reporter = w
	s.run(time.Second)
	in := s.instances[0]
	better := vrrp.Advert{Version: 3, VRID: in.cfg.Params.VRID, Priority: 254, Interval: in.cfg.Params.Interval, Addresses: in.cfg.Params.Addresses}
	lose := func() {
		s.core.step(s.now, func(now time.Time) {
			s.apply(now, in, in.vr.Receive(now, numbered(52).Params.Addresses[0], better))
		})
		s.run(time.Second)
	}
	lose()
	if n := in.state(s.now, ipc.Fitness{Fit: true}).Flapping; n != 0 || len(w.said) != 0 {
		t.Fatalf("a takeover and its return are flapping: %d, %v", n, w.said)
	}
	for range 3 {
		lose()
	}
	if n := in.state(s.now, ipc.Fitness{Fit: true}).Flapping; n < flapsFrom {
		t.Errorf("flapping %d, want at least %d", n, flapsFrom)
	}
	if len(w.said) != 1 || w.said[0]["vip"] != in.cfg.Name {
		t.Errorf("warned %v, want once, about %s", w.said, in.cfg.Name)
	}
	s.run(time.Minute)
	if n := in.state(s.now, ipc.Fitness{Fit: true}).Flapping; n != 0 {
		t.Errorf("still flapping after a minute of peace: %d", n)
	}
}
