package judge

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/proxy"
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
	hearing := func(priority uint8, ago time.Duration) ipc.RouterState {
		heard := []vrrp.PeerStatus{{Address: lb2, Priority: priority, Heard: at(-ago)}}
		return ipc.RouterState{Name: "main", Status: vrrp.Status{Role: vrrp.Active, Peers: heard}}
	}
	says := func(r vrrp.Role) *peer.State { return &peer.State{VIPs: map[string]peer.VIP{"main": {Role: r}}} }
	node := netip.MustParseAddr("2001:db8::12")
	speaksFrom := func(a netip.Addr) *peer.State {
		return &peer.State{VIPs: map[string]peer.VIP{"main": {Role: vrrp.Active, Source: a}}}
	}
	for name, tc := range map[string]struct {
		own  ipc.RouterState
		view peer.View
		want Verdict
	}{
		"never heard of":                       {active, peer.View{}, NoDoubt},
		"as it should be, this node active":    {active, peer.View{Alive: true, State: says(vrrp.Backup)}, NoDoubt},
		"as it should be, the peer active":     {backup(0), peer.View{Alive: true, State: says(vrrp.Active)}, NoDoubt},
		"both active":                          {active, peer.View{Alive: true, State: says(vrrp.Active)}, Cut},
		"resigned since it said so":            {hearing(0, time.Second), peer.View{Alive: true, Address: lb2, State: says(vrrp.Active), Heard: at(-2 * time.Second)}, NoDoubt},
		"active again since it resigned":       {hearing(0, 2*time.Second), peer.View{Alive: true, Address: lb2, State: says(vrrp.Active), Heard: at(-time.Second)}, Cut},
		"active, and advertising":              {hearing(200, time.Second), peer.View{Alive: true, Address: lb2, State: says(vrrp.Active), Heard: at(-2 * time.Second)}, Cut},
		"silent on both, this node active":     {active, peer.View{State: says(vrrp.Active)}, Death},
		"silent on both, this node backup yet": {backup(time.Minute), peer.View{Address: lb2, State: says(vrrp.Active)}, Death},
		"heard from the address it says":       {backup(0), peer.View{Address: node, State: speaksFrom(lb2)}, GossipCut},
		"heard another than the peer":          {backup(0), peer.View{Address: node, State: says(vrrp.Active)}, Death},
		"silent by gossip, heard by VRRP":      {backup(100 * time.Millisecond), peer.View{Address: lb2, State: says(vrrp.Active)}, GossipCut},
	} {
		if got := Assess(epoch, []ipc.RouterState{tc.own}, false, tc.view); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
		if (tc.want == NoDoubt) != (tc.want.Explain() == "") {
			t.Errorf("%q is explained as %q", tc.want, tc.want.Explain())
		}
	}
}

func TestDeathNoticeIsBelievedBeforeGossip(t *testing.T) {
	active := ipc.RouterState{Name: "main", Status: vrrp.Status{Role: vrrp.Active}}
	view := peer.View{Alive: true, State: &peer.State{VIPs: map[string]peer.VIP{"main": {Role: vrrp.Active}}}}
	if got := Assess(epoch, []ipc.RouterState{active}, true, view); got != Death {
		t.Errorf("%q, want %q", got, Death)
	}
}

func TestVerdictNeedsTime(t *testing.T) {
	var d Doubt
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
		if changed := d.Look(at(step.at), step.see); changed != step.changed || d.Verdict != step.verdict {
			t.Errorf("at %v: %q, changed %v; want %q, %v", step.at, d.Verdict, changed, step.verdict, step.changed)
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
		want []ipc.Announce
	}{
		"ours is later":          {own(true, 5), theirs(vrrp.Backup, 4), nil},
		"theirs is later":        {own(true, 5), theirs(vrrp.Backup, 9), []ipc.Announce{{Router: "main", Above: 9}}},
		"nobody knows":           {own(true, 5), theirs(vrrp.Backup, 5), []ipc.Announce{{Router: "main", Above: 5}}},
		"they never announced":   {own(true, 5), theirs(vrrp.Backup, 0), nil},
		"they own it too: a cut": {own(true, 5), theirs(vrrp.Active, 9), nil},
		"a backup learns":        {own(false, 5), theirs(vrrp.Active, 9), []ipc.Announce{{Router: "main", Above: 9}}},
		"a backup knows":         {[]ipc.RouterState{{Name: "main", Heard: 9}}, theirs(vrrp.Active, 9), nil},
	} {
		if diff := cmp.Diff(tc.want, Foreign(tc.own, tc.peer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// of3 is a node that has three servers with a check, and reaches some of them.
func of3(reachable int) Servers { return Servers{Checked: 3, Reachable: reachable} }

func TestNodeThatReachesNothingStandsBackForOneThatDoes(t *testing.T) {
	good := []peer.State{{Node: "lb2", Fit: true, Servers: 3, Reachable: 2}}
	for name, tc := range map[string]struct {
		own   Servers
		peers []peer.State
	}{
		"nothing known, or no check":   {Servers{}, good},
		"one is enough":                {of3(1), good},
		"the peer reaches none either": {of3(0), []peer.State{{Node: "lb2", Fit: true, Servers: 3}}},
		"the peer is unfit":            {of3(0), []peer.State{{Node: "lb2", Servers: 3, Reachable: 3}}},
		"no peer":                      {of3(0), nil},
	} {
		var r Reach
		for s := range 20 {
			if why := r.Look(at(time.Duration(s)*time.Second), tc.own, tc.peers); why != "" {
				t.Errorf("%s: stands back after %d s: %s", name, s, why)
			}
		}
	}

	t.Log("# it takes a while, and a while to come back; blips do nothing")
	const reachesNone, moment = "it reaches none of its servers, and lb2 does", "it reached none of its servers a moment ago"
	var r Reach
	for _, step := range []struct {
		at        time.Duration
		reachable int
		peers     []peer.State
		want      string
	}{
		{0, 0, good, ""},
		{1 * time.Second, 1, good, ""},
		{2 * time.Second, 0, good, ""},
		{3 * time.Second, 0, good, ""},
		{4 * time.Second, 0, good, reachesNone},
		{5 * time.Second, 1, good, moment},
		{8 * time.Second, 1, good, moment},
		{9 * time.Second, 0, good, reachesNone},
		{10 * time.Second, 2, good, moment},
		{15 * time.Second, 2, good, ""},
		{16 * time.Second, 0, good, ""},
		{18 * time.Second, 0, good, reachesNone},
		{19 * time.Second, 0, nil, ""}, // the peer is gone: nobody to stand back for
	} {
		if got := r.Look(at(step.at), of3(step.reachable), step.peers); got != step.want {
			t.Errorf("at %v: %q, want %q", step.at, got, step.want)
		}
	}
}

// The peer has no traffic: its checks alone must have had the time to fail.
func TestStandingBackWaitsForThePeersChecks(t *testing.T) {
	w := of3(0)
	w.Notices = Notices(proxy.Spec{Pools: []proxy.Pool{
		{},
		{Check: proxy.Check{Kind: proxy.CheckTCP, Every: 2 * time.Second, Timeout: time.Second, Fall: 3}},
	}})
	good := []peer.State{{Node: "lb2", Fit: true, Servers: 3, Reachable: 3}}
	var r Reach
	for s := range 20 {
		why := r.Look(at(time.Duration(s)*time.Second), w, good)
		if want := s >= 8; (why != "") != want { // 3 x 2.2 s + 1 s
			t.Errorf("after %d s: %q", s, why)
		}
	}
}
