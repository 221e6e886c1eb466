package main

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/probe"
	"github.com/tandemlb/tandem/vrrp"
)

// node is what a node says of itself when it is well.
func node(role vrrp.Role) *admin.Status {
	return &admin.Status{
		Fit: true, Servers: 2, Reachable: 2,
		VIPs:  []admin.VIP{{Role: role, Holds: role == vrrp.Active}},
		Peers: []admin.Peer{{Alive: true}},
	}
}

func TestPairIsWhole(t *testing.T) {
	change := func(name string, f func(*admin.Status)) func(view) {
		return func(v view) { f(v[name]) }
	}
	for _, test := range []struct {
		name   string
		change func(view)
		want   string // a part of it; empty: whole
	}{
		{"whole", func(view) {}, ""},
		{"a node is silent", func(v view) { v[other] = nil }, "lb2 does not answer"},
		{"unfit", change(other, func(s *admin.Status) { s.Fit, s.Unfit = false, "its worker is gone" }), "its worker is gone"},
		{"no peer", change(preferred, func(s *admin.Status) { s.Peers = nil }), "does not hear its peer"},
		{"peer is dead", change(preferred, func(s *admin.Status) { s.Peers[0].Alive = false }), "does not hear its peer"},
		{"a server is down", change(other, func(s *admin.Status) { s.Reachable = 1 }), "1 of 2 servers"},
		{"no servers yet", change(other, func(s *admin.Status) { s.Servers, s.Reachable = 0, 0 }), "0 of 0 servers"},
		{"nobody is Active", change(preferred, func(s *admin.Status) { s.VIPs[0].Role = vrrp.Backup }), "held by []"},
		{"Active, without the address", change(preferred, func(s *admin.Status) { s.VIPs[0].Holds = false }), "held by []"},
		{"two owners", func(v view) { v[other] = node(vrrp.Active) }, `["lb1" "lb2"]`},
		{"the other owns it", func(v view) { v[preferred], v[other] = v[other], v[preferred] }, `["lb2"]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := view{preferred: node(vrrp.Active), other: node(vrrp.Backup)}
			test.change(v)
			got := v.lacks()
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("lacks %q, want %q", got, test.want)
			}
		})
	}
}

func TestOwnerOf(t *testing.T) {
	macs := map[string]string{"lb1": "52:54:00:aa:00:01", "lb2": "52:54:00:aa:00:02"}
	for entry, want := range map[string]string{
		"192.168.56.10 dev eth1 lladdr 52:54:00:aa:00:02 REACHABLE\n": "lb2",
		"192.168.56.10 dev eth1 lladdr 52:54:00:aa:00:01 STALE\n":     "lb1",
		"192.168.56.10 dev eth1 lladdr 52:54:00:aa:00:09 REACHABLE\n": "",
		"192.168.56.10 dev eth1 FAILED\n":                             "",
		"":                                                            "",
	} {
		if got := ownerOf(entry, macs); got != want {
			t.Errorf("%q: %q, want %q", entry, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	all := faults()
	got := table([]outcome{
		{
			fault: all[0], before: "lb1", after: "lb2", finally: "lb1",
			fell:   probe.Window{Requests: 900, Failed: 7, Outage: 412 * time.Millisecond},
			healed: probe.Window{Requests: 300, Outage: 51 * time.Millisecond},
		},
		{fault: all[1], before: "lb1"},
		{fault: all[2], skipped: errNotHere.Error()},
	})
	want := `fault                  expected         who served                                        outage ms     failed   back ms     failed
────────────────────   ──────────────   ───────────────────────────────────────────────   ─────────   ────────   ───────   ────────
lb1 powered off        lb2 takes over   lb1 → lb2 → lb1                                         412   7 of 900        51   0 of 300
link of lb1 set down   lb2 takes over   NOBODY TOOK OVER                                          -          -         -          -
cable of lb1 pulled    lb2 takes over   not caused: it cannot be had with this provider           -          -         -          -
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestChoose(t *testing.T) {
	if all, err := choose(nil); err != nil || len(all) != len(faults()) {
		t.Errorf("without a name: %d faults, %v", len(all), err)
	}
	some, err := choose([]string{"stop", "power-off"})
	if err != nil || len(some) != 2 || some[0].name != "stop" || some[1].name != "power-off" {
		t.Errorf("two names: %v, %v", some, err)
	}
	if _, err := choose([]string{"earthquake"}); err == nil || !strings.Contains(err.Error(), "partition") {
		t.Errorf("an unknown name: %v, want an error with the known ones", err)
	}
}

func TestQuote(t *testing.T) {
	for _, text := range []string{"", "plain", `it's "quoted" $HOME`, "a\nb"} {
		out, err := exec.Command("sh", "-c", "printf %s "+quote(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q became %q, %v", text, out, err)
		}
	}
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		err := until(t.Context(), time.Minute, func(context.Context) (string, error) {
			asked++
			switch {
			case asked == 1:
				return "", errors.New("no answer yet")
			case asked < 5:
				return "a node", nil
			}
			return "", nil
		})
		if err != nil || asked != 5 {
			t.Errorf("asked %d times, %v", asked, err)
		}

		err = until(t.Context(), time.Minute, func(context.Context) (string, error) { return "a node", nil })
		if err == nil || err.Error() != "after 1m0s: a node" {
			t.Errorf("what never comes: %v", err)
		}

		why := errors.New("the machine is gone")
		err = until(t.Context(), time.Minute, func(context.Context) (string, error) { return "", why })
		if !errors.Is(err, why) {
			t.Errorf("what fails for ever: %v", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = until(ctx, time.Minute, func(context.Context) (string, error) { return "a node", nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("when it is called off: %v", err)
		}
	})
}

// reported is traffic of which this much is known.
func reported(t *testing.T, lines string) *traffic {
	t.Helper()
	r := probe.NewRecorder()
	if err := r.Record(strings.NewReader("0\n" + lines)); err != nil {
		t.Fatal(err)
	}
	return &traffic{Recorder: r}
}

func TestTrafficIsCalm(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines string
		since time.Duration
		want  string // a part of what is missing; empty: it is calm
	}{
		{"nothing", "", 0, "reports nothing"},
		{"too little", "0 0+s1 1000000+s2\n", 0, "reports nothing"},
		{"enough", "0 0+s1 1000000+s2 2000000+s1\n", 0, ""},
		{"enough, but before", "0 0+s1 1000000+s2 2000000+s1\n", time.Second, "reports nothing"},
		{"a failure of late", "0 0+s1 1000000-timeout 2000000+s1\n", 0, "timeout"},
		{"a failure before", "0 0-reset 1000000+s2 2000001+s1\n", 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := reported(t, test.lines).agitated(test.since)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("missing %q, want %q", got, test.want)
			}
		})
	}
}
