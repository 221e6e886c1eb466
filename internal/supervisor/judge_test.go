package supervisor

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
		"a backup knows":         {[]ipc.RouterState{{Name: "main", Heard: 9}}, theirs(vrrp.Active, 9), map[string]uint64{}},
	} {
		if diff := cmp.Diff(tc.want, foreign(tc.own, tc.peer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// reaches is a worker whose pool has three servers with a check, and holds all but
// reachable of them for dead.
func reaches(reachable int) workerView {
	pool := ipc.PoolState{}
	for i := range 3 {
		health := "up"
		if i >= reachable {
			health = "down"
		}
		pool.Servers = append(pool.Servers, ipc.ServerState{Checked: true, Health: health})
	}
	return workerView{state: &ipc.WorkerState{Pools: []ipc.PoolState{pool}}}
}

func TestNodeThatReachesNothingStandsBackForOneThatDoes(t *testing.T) {
	good := []peer.State{{Node: "lb2", Fit: true, Servers: 3, Reachable: 2}}
	unchecked := workerView{state: &ipc.WorkerState{Pools: []ipc.PoolState{{Servers: []ipc.ServerState{{Health: "down"}}}}}}
	for name, tc := range map[string]struct {
		worker workerView
		peers  []peer.State
	}{
		"nothing known":                {workerView{}, good},
		"without a check":              {unchecked, good},
		"one is enough":                {reaches(1), good},
		"the peer reaches none either": {reaches(0), []peer.State{{Node: "lb2", Fit: true, Servers: 3}}},
		"the peer is unfit":            {reaches(0), []peer.State{{Node: "lb2", Servers: 3, Reachable: 3}}},
		"no peer":                      {reaches(0), nil},
	} {
		var r reach
		for s := range 20 {
			if why := r.look(at(time.Duration(s)*time.Second), tc.worker, tc.peers); why != "" {
				t.Errorf("%s: stands back after %d s: %s", name, s, why)
			}
		}
	}

	t.Log("# it takes a while, and a while to come back; blips do nothing")
	const reachesNone, moment = "it reaches none of its servers, and lb2 does", "it reached none of its servers a moment ago"
	var r reach
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
		if got := r.look(at(step.at), reaches(step.reachable), step.peers); got != step.want {
			t.Errorf("at %v: %q, want %q", step.at, got, step.want)
		}
	}
}

// The peer has no traffic: its checks alone must have had the time to fail.
func TestStandingBackWaitsForThePeersChecks(t *testing.T) {
	w := reaches(0)
	w.serving.Spec = proxy.Spec{Pools: []proxy.Pool{
		{},
		{Check: proxy.Check{Kind: proxy.CheckTCP, Every: 2 * time.Second, Timeout: time.Second, Fall: 3}},
	}}
	good := []peer.State{{Node: "lb2", Fit: true, Servers: 3, Reachable: 3}}
	var r reach
	for s := range 20 {
		why := r.look(at(time.Duration(s)*time.Second), w, good)
		if want := s >= 8; (why != "") != want { // 3 x 2.2 s + 1 s
			t.Errorf("after %d s: %q", s, why)
		}
	}
}
