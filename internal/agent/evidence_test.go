package agent

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

// roles keeps what is logged of changes of role.
type roles struct {
	nowhere
	said []map[string]any
}

func (r *roles) role(_, _ string, evidence map[string]any) { r.said = append(r.said, evidence) }

func TestRoleChangesAreLoggedWithTheirEvidence(t *testing.T) {
	s := newSolo(t, numbered(51))
	in := s.instances[0]
	in.cfg.Params.Priority = 150
	r := &roles{}
	s.out.reporter = r
	s.run(time.Second)
	began := s.now
	step := func(event func(now time.Time)) { s.core.step(s.now, event) }

	// By a better router, while gossip hears its node.
	better := vrrp.Advert{Version: 3, VRID: in.cfg.Params.VRID, Priority: 254, Interval: in.cfg.Params.Interval, Addresses: in.cfg.Params.Addresses}
	peer := numbered(52).Params.Addresses[0]
	step(func(now time.Time) {
		s.fitness(now, ipc.Fitness{Fit: true, Lowered: map[string]ipc.Lowered{in.cfg.VIP: {By: 50, Reason: "gateway 192.0.2.1 does not answer"}}})
	})
	step(func(now time.Time) { s.apply(now, in, in.vr.SetFacts(now, vrrp.Facts{PeerAlive: vrrp.Yes})) })
	step(func(now time.Time) { s.apply(now, in, in.vr.Receive(now, peer, better)) })
	// It falls silent, and gossip too; this node had slept before.
	s.slept = ipc.Sleep{At: s.now, For: 300 * time.Millisecond, Count: 1}
	step(func(now time.Time) { s.apply(now, in, in.vr.SetFacts(now, vrrp.Facts{PeerAlive: vrrp.No})) })
	s.run(2 * time.Second)

	if len(r.said) < 2 {
		t.Fatalf("logged %v", r.said)
	}
	lost, won := r.said[len(r.said)-2], r.said[len(r.said)-1]
	for _, key := range []string{"peer", "peerHeardAgo", "slept"} {
		if _, is := r.said[0][key]; is {
			t.Errorf("of a router that has heard nobody, and was awake, %s is told", key)
		}
	}
	want := map[string]any{
		"vip": in.cfg.Name, "group": in.cfg.Group, "interface": in.cfg.Interface, "from": "active", "to": "backup",
		"priority": uint8(100), "basePriority": uint8(150), "loweredBy": "gateway 192.0.2.1 does not answer",
		"peer": peer.String(), "peerPriority": uint8(254), "peerHeardAgo": "0s", "gossip": "alive", "epoch": uint64(1),
	}
	got := map[string]any{}
	for k := range want {
		got[k] = lost[k]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the loss (-want +got):\n%s", diff)
	}
	if lost["reason"] == "" || lost["lateness"] == nil || lost["lasted"] == nil || lost["since"].(time.Time).After(began) {
		t.Errorf("the loss: %v", lost)
	}
	if won["from"] != "backup" || won["to"] != "active" || won["gossip"] != "silent" || won["slept"] != "300ms" || won["epoch"] != uint64(2) {
		t.Errorf("the takeover: %v", won)
	}
	if ago, err := time.ParseDuration(won["peerHeardAgo"].(string)); err != nil || ago < 3*in.cfg.Params.Interval {
		t.Errorf("it took over %v after the last word of its peer (%v), interval %v", ago, err, in.cfg.Params.Interval)
	}
}
