package report

import (
	"testing"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

func TestLine(t *testing.T) {
	router := func(name string, role vrrp.Role, why string) ipc.RouterState {
		return ipc.RouterState{Name: name, Status: vrrp.Status{Role: role, Reason: vrrp.Reason(why)}}
	}
	broken := router("main", vrrp.Init, "started")
	broken.Error = "eth0 is gone"
	for name, tc := range map[string]struct {
		fit     ipc.Fitness
		routers []ipc.RouterState
		want    string
	}{
		"starting":  {ipc.Fitness{Reason: "the proxy is starting"}, nil, "unfit: the proxy is starting"},
		"a proxy":   {ipc.Fitness{Fit: true}, nil, "serving, without a VIP"},
		"active":    {ipc.Fitness{Fit: true}, []ipc.RouterState{router("main", vrrp.Active, "the peer died")}, "active for main (the peer died)"},
		"no reason": {ipc.Fitness{Fit: true}, []ipc.RouterState{router("main", vrrp.Active, "")}, "active for main"},
		"of each": {
			ipc.Fitness{Fit: true},
			[]ipc.RouterState{router("one", vrrp.Backup, "started"), router("two", vrrp.Active, "preferred")},
			"active for two (preferred); backup for one (started)",
		},
		"demoted":  {ipc.Fitness{Fit: true, Demoted: true, Reason: "no server"}, []ipc.RouterState{router("main", vrrp.Backup, "started")}, "demoted: no server; backup for main (started)"},
		"an error": {ipc.Fitness{Fit: true}, []ipc.RouterState{broken}, "not taking part in main (eth0 is gone)"},
		"many": {
			ipc.Fitness{Fit: true},
			[]ipc.RouterState{router("a", vrrp.Active, "x"), router("b", vrrp.Active, "x"), router("c", vrrp.Active, "x"), router("d", vrrp.Backup, "x")},
			"active for a, b, c; backup for d",
		},
	} {
		if got := Line(tc.fit, tc.routers); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
