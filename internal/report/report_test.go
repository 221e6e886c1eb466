package report

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/vrrp"
)

var (
	noon  = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	other = netip.MustParseAddr("192.0.2.12")
)

// election is a pair as its Active node sees it.
func election() Election {
	return Election{
		Routers: []ipc.Router{{Name: "main", VIP: "main", Group: "main", Params: vrrp.Params{Priority: 200, Self: netip.MustParseAddr("192.0.2.11")},
			Track: ipc.Track{Interfaces: []string{"eth1"}, Gateway: netip.MustParseAddr("192.0.2.1")}}},
		States: []ipc.RouterState{{Name: "main", Holds: true, Status: vrrp.Status{Role: vrrp.Active, Priority: 200, Reason: "silence",
			Peers: []vrrp.PeerStatus{{Address: other, Heard: noon.Add(-time.Second)}}}}},
		Running: true,
		Views:   []peer.View{{Name: "lb2", Alive: true, State: &peer.State{VIPs: map[string]peer.VIP{"main": {Source: other}}}}},
	}
}

func TestVIPs(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Election)
		check  func(admin.VIP) bool
	}{
		"well": {func(*Election) {}, func(v admin.VIP) bool {
			return v.Role == vrrp.Active && v.Reason == "silence" && v.Family == "ipv4" && v.Version == 3 && v.Holds && v.Error == "" &&
				cmp.Equal(v.Tracked, []string{"interface eth1", "gateway 192.0.2.1"}) && len(v.Speakers) == 1 && v.Speakers[0].Node == "lb2"
		}},
		"a stranger speaks":    {func(e *Election) { e.Views = nil }, func(v admin.VIP) bool { return v.Speakers[0].Node == "" }},
		"nothing reported yet": {func(e *Election) { e.States = nil }, func(v admin.VIP) bool { return v.Error == "the agent has not reported yet" }},
		"no agent":             {func(e *Election) { e.States, e.Running = nil, false }, func(v admin.VIP) bool { return v.Error == "the agent is not running" }},
		"lowered":              {func(e *Election) { e.Lowered = map[string]ipc.Lowered{"main": {By: 51, Reason: "gateway"}} }, func(v admin.VIP) bool { return *v.Lowered == admin.Lowered{By: 51, Reason: "gateway"} }},
		"other addresses":      {func(e *Election) { e.States[0].Status.Peers[0].AddressesDiffer = true }, func(v admin.VIP) bool { return v.AddressMismatch }},
		"other addresses, once": {func(e *Election) {
			p := &e.States[0].Status.Peers[0]
			p.AddressesDiffer, p.Heard = true, noon.Add(-mismatchOver)
		}, func(v admin.VIP) bool { return !v.AddressMismatch }},
		"a conflict":       {func(e *Election) { e.States[0].Conflict = &ipc.Conflict{At: noon.Add(-time.Second)} }, func(v admin.VIP) bool { return v.Conflict != nil }},
		"a conflict, once": {func(e *Election) { e.States[0].Conflict = &ipc.Conflict{At: noon.Add(-conflictOver), Count: 3} }, func(v admin.VIP) bool { return v.Conflict == nil && v.Conflicts == 3 }},
	} {
		e := election()
		tc.change(&e)
		if got := e.VIPs(noon); len(got) != 1 || !tc.check(got[0]) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPeers(t *testing.T) {
	v := peer.View{Name: "lb2", Alive: true, Err: errors.New("refused"), State: &peer.State{ConfigHash: "bb", Fit: true, Servers: 3, Reachable: 2,
		VIPs: map[string]peer.VIP{"main": {Role: vrrp.Backup, Priority: 150, Since: noon, Reason: "started"}},
		Lost: map[string][]peer.Lost{"main": {{What: "gateway"}}, "other": nil}}}
	got := Peers([]peer.View{v, {Name: "lb3"}}, "aa", map[string]judge.Doubt{"lb2": {Verdict: judge.Cut, Since: noon}})
	want := []admin.Peer{
		{Name: "lb2", Alive: true, Error: "refused", Fit: true, Hash: "bb", Drift: true, Servers: 3, Reachable: 2,
			Verdict: "cut", Explained: judge.Cut.Explain(), VerdictSince: noon,
			Roles: map[string]vrrp.Role{"main": vrrp.Backup}, Priorities: map[string]uint8{"main": 150},
			VIPs: map[string]admin.PeerVIP{"main": {Role: vrrp.Backup, Priority: 150, Since: noon, Reason: "started"}},
			Lost: map[string][]admin.Lost{"main": {{What: "gateway"}}}},
		{Name: "lb3"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
}

// Listeners and pools are lists from the first moment on: null would break programs.
func TestBeforeTheWorkerReports(t *testing.T) {
	spec := proxy.Spec{Listeners: []proxy.Listener{{Name: "web", Protocol: proxy.HTTP, Bind: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:80")}}}}
	if got := Listeners(spec, nil); len(got) != 1 || got[0].Name != "web" || got[0].Accepted != 0 || len(got[0].Bind) != 1 {
		t.Errorf("listeners %+v", got)
	}
	if got := Listeners(proxy.Spec{}, nil); got == nil {
		t.Error("listeners are null")
	}
	if got := Pools(nil); got == nil {
		t.Error("pools are null")
	}
	if got := Peers(nil, "", nil); got == nil {
		t.Error("peers are null")
	}
	st := &ipc.WorkerState{Listeners: []ipc.ListenerState{{Name: "web", Accepted: 7}}, Pools: []ipc.PoolState{{Name: "web", Servers: []ipc.ServerState{{Name: "s1", Health: "up"}}}}}
	if got := Listeners(spec, st); got[0].Accepted != 7 {
		t.Errorf("listeners %+v", got)
	}
	if got := Pools(st); len(got) != 1 || got[0].Servers[0].Health != "up" {
		t.Errorf("pools %+v", got)
	}
}
