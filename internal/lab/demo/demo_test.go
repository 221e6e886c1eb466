package demo

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/probe"
	"github.com/tandemlb/tandem/internal/lab/report"
	"github.com/tandemlb/tandem/vrrp"
)

func happened(event string, outage time.Duration, failed int) failover.Outcome {
	return failover.Outcome{
		Event: failover.Event{Name: event}, Before: []string{"lb1"}, After: []string{"lb2"},
		Window: probe.Window{Outage: outage, Failed: failed},
	}
}

func TestDemoRowsJoinRounds(t *testing.T) {
	got := rowsOf([]failover.Outcome{
		happened("killed", 300*time.Millisecond, 290),
		happened("stopped", 3*time.Millisecond, 0),
		happened("killed", 320*time.Millisecond, 311),
	})
	want := []report.Row{
		{Event: "killed", Owner: "lb1 → lb2", Outage: []time.Duration{300 * time.Millisecond, 320 * time.Millisecond}, Failed: []int{290, 311}},
		{Event: "stopped", Owner: "lb1 → lb2", Outage: []time.Duration{3 * time.Millisecond}, Failed: []int{0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestDemoViewWritesPlainLinesToAFile(t *testing.T) {
	var out strings.Builder
	v := newView(&out)
	v.status("lb1 active")
	v.happens("killed")
	v.outcome(1500*time.Millisecond, "", happened("killed", 300*time.Millisecond, 290))
	slow := happened("stopped", 20*time.Millisecond, 0)
	slow.Window.Stall = 19 * time.Millisecond
	v.outcome(12*time.Second, "two", slow)
	want := "  1.5 s  killed                       lb1 → lb2    300 ms without an answer, 290 failed\n" +
		" 12.0 s  stopped                      VIP two: lb1 → lb2     20 ms without an answer, 0 failed (the client itself was held up for 19 ms)\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestDemoViewKeepsTheLiveLineLast(t *testing.T) {
	var out strings.Builder
	v := newView(&out)
	v.live = true
	v.status("state")
	v.print("line")
	v.happens(strings.Repeat("x", 100))
	v.status("")
	v.print("end")
	want := "state" + eraseLine + "line\nstate" + eraseLine + "state  · " + strings.Repeat("x", 70) + eraseLine + "end\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestDemoRoles(t *testing.T) {
	for _, test := range []struct {
		name   string
		status *admin.Status
		want   string
	}{
		{"no answer", nil, "down"},
		{"no VIP", &admin.Status{}, "down"},
		{"active", &admin.Status{VIPs: []admin.VIP{{Role: vrrp.Active}}}, "active"},
		{"active of one of two", &admin.Status{VIPs: []admin.VIP{{Role: vrrp.Active}, {Role: vrrp.Backup}}}, "active/backup"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := roles(test.status); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestHealthy(t *testing.T) {
	with := func(health ...string) *admin.Status {
		var servers []admin.Server
		for _, h := range health {
			servers = append(servers, admin.Server{Health: h})
		}
		return &admin.Status{Pools: []admin.Pool{{Servers: servers}}}
	}
	for _, test := range []struct {
		name   string
		status *admin.Status
		want   bool
	}{
		{"all up", with("up", "up"), true},
		{"one unknown", with("up", "unknown"), false},
		{"one down", with("down", "up"), false},
		{"none yet", &admin.Status{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := healthy(test.status); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestDemoWantsARound(t *testing.T) {
	err := Options{Rounds: 0}.Run(t.Context(), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "--rounds 0: at least one is needed") {
		t.Errorf("error %v, want a refusal", err)
	}
}
