package supervisor

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

func TestVerdictFromTwoChannels(t *testing.T) {
	lb2 := netip.MustParseAddr("192.0.2.12")
	backup := func(heard time.Duration) ipc.RouterState {
		return ipc.RouterState{Name: "main", Status: vrrp.Status{Role: vrrp.Backup, Peer: lb2, PeerHeard: at(-heard), Interval: 100 * time.Millisecond}}
	}
	active := ipc.RouterState{Name: "main", Status: vrrp.Status{Role: vrrp.Active}}
	says := func(r vrrp.Role) *peer.State { return &peer.State{VIPs: map[string]peer.VIP{"main": {Role: r}}} }
	for name, tc := range map[string]struct {
		own  ipc.RouterState
		view peer.View
		want Verdict
	}{
		"never heard of":                       {active, peer.View{}, NoDoubt},
		"as it should be, this node active":    {active, peer.View{Alive: true, State: says(vrrp.Backup)}, NoDoubt},
		"as it should be, the peer active":     {backup(0), peer.View{Alive: true, State: says(vrrp.Active)}, NoDoubt},
		"both active":                          {active, peer.View{Alive: true, State: says(vrrp.Active)}, Cut},
		"silent on both, this node active":     {active, peer.View{State: says(vrrp.Active)}, Death},
		"silent on both, this node backup yet": {backup(time.Minute), peer.View{Address: lb2, State: says(vrrp.Active)}, Death},
		"silent by gossip, heard by VRRP":      {backup(100 * time.Millisecond), peer.View{Address: lb2, State: says(vrrp.Active)}, GossipCut},
	} {
		if got := assess([]ipc.RouterState{tc.own}, tc.view, epoch); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
		if (tc.want == NoDoubt) != (tc.want.explain() == "") {
			t.Errorf("%q is explained as %q", tc.want, tc.want.explain())
		}
	}
}

func TestVerdictNeedsTime(t *testing.T) {
	var d doubt
	for _, step := range []struct {
		at      time.Duration
		see     Verdict
		changed bool
		verdict Verdict
	}{
		{0, NoDoubt, false, NoDoubt},
		{100 * time.Millisecond, Cut, false, NoDoubt}, // roles cross
		{200 * time.Millisecond, NoDoubt, false, NoDoubt},
		{time.Second, Cut, false, NoDoubt},
		{1900 * time.Millisecond, Cut, false, NoDoubt},
		{2 * time.Second, Cut, true, Cut},
		{3 * time.Second, Cut, false, Cut},
		{4 * time.Second, Death, false, Cut},
		{5 * time.Second, Death, true, Death},
		{6 * time.Second, NoDoubt, false, Death},
		{7 * time.Second, NoDoubt, true, NoDoubt},
	} {
		if changed := d.look(at(step.at), step.see); changed != step.changed || d.verdict != step.verdict {
			t.Errorf("at %v: %q, changed %v; want %q, %v", step.at, d.verdict, changed, step.verdict, step.changed)
		}
	}
}

func TestOwnerAnnouncesLast(t *testing.T) {
	own := func(holds bool, epoch uint64) []ipc.RouterState {
		return []ipc.RouterState{{Name: "main", Holds: holds, Epoch: epoch}}
	}
	theirs := func(r vrrp.Role, epoch uint64) peer.State {
		return peer.State{VIPs: map[string]peer.VIP{"main": {Role: r, Epoch: epoch}, "other": {Role: vrrp.Backup, Epoch: 99}}}
	}
	for name, tc := range map[string]struct {
		own  []ipc.RouterState
		peer peer.State
		want map[string]uint64
	}{
		"ours is later":          {own(true, 5), theirs(vrrp.Backup, 4), map[string]uint64{}},
		"theirs is later":        {own(true, 5), theirs(vrrp.Backup, 9), map[string]uint64{"main": 9}},
		"nobody knows":           {own(true, 5), theirs(vrrp.Backup, 5), map[string]uint64{"main": 5}},
		"they never announced":   {own(true, 5), theirs(vrrp.Backup, 0), map[string]uint64{}},
		"they own it too: a cut": {own(true, 5), theirs(vrrp.Active, 9), map[string]uint64{}},
		"a backup learns":        {own(false, 5), theirs(vrrp.Active, 9), map[string]uint64{"main": 9}},
		"a backup knows":         {own(false, 9), theirs(vrrp.Active, 9), map[string]uint64{}},
	} {
		if diff := cmp.Diff(tc.want, foreign(tc.own, tc.peer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNodeThatReachesNothingYieldsToOneThatDoes(t *testing.T) {
	good := []peer.State{{Node: "lb2", Fit: true, Servers: 3, Reachable: 2}}
	for name, tc := range map[string]struct {
		servers, reachable int
		peers              []peer.State
	}{
		"without servers":              {0, 0, good},
		"one is enough":                {3, 1, good},
		"the peer reaches none either": {3, 0, []peer.State{{Node: "lb2", Fit: true, Servers: 3}}},
		"the peer is unfit":            {3, 0, []peer.State{{Node: "lb2", Servers: 3, Reachable: 3}}},
		"no peer":                      {3, 0, nil},
	} {
		var r reach
		for s := range 10 {
			if why := r.look(at(time.Duration(s)*time.Second), tc.servers, tc.reachable, tc.peers); why != "" {
				t.Errorf("%s: unfit after %d s: %s", name, s, why)
			}
		}
	}

	t.Log("# it takes a while, and a while to come back; blips do nothing")
	var r reach
	for _, step := range []struct {
		at        time.Duration
		reachable int
		want      string
	}{
		{0, 0, ""},
		{1 * time.Second, 1, ""},
		{2 * time.Second, 0, ""},
		{3 * time.Second, 0, ""},
		{4 * time.Second, 0, "it reaches none of its servers, and lb2 does"},
		{5 * time.Second, 1, "it reached none of its servers a moment ago"},
		{8 * time.Second, 1, "it reached none of its servers a moment ago"},
		{9 * time.Second, 0, "it reaches none of its servers, and lb2 does"},
		{10 * time.Second, 2, "it reached none of its servers a moment ago"},
		{15 * time.Second, 2, ""},
		{16 * time.Second, 0, ""},
	} {
		if got := r.look(at(step.at), 3, step.reachable, good); got != step.want {
			t.Errorf("at %v: %q, want %q", step.at, got, step.want)
		}
	}
}
