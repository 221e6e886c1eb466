package verdict

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

var now = time.Unix(1_000_000, 0)

// pair is lb1, active for main and well, with its peer lb2.
func pair() *admin.Status {
	at := now.Add(-time.Hour)
	server := func(name string) admin.Server {
		return admin.Server{Name: name, Health: "up", Checked: true, Share: admin.Share{State: "ready", Weight: 1}}
	}
	return &admin.Status{
		Node: "lb1", Fit: true, Config: admin.Config{Hash: "a"}, Agent: &admin.Process{PID: 2, Realtime: "yes"}, Worker: admin.Process{PID: 3},
		VIPs:  []admin.VIP{{Name: "main", Role: vrrp.Active, Since: at, Holds: true, Base: 200, Priority: 200}},
		Peers: []admin.Peer{{Name: "lb2", Alive: true, Since: at, Fit: true, Hash: "a", Roles: map[string]vrrp.Role{"main": vrrp.Backup}}},
		Pools: []admin.Pool{{Name: "web", Servers: []admin.Server{server("s1"), server("s2")}}},
	}
}

// backup is lb1 as the Backup of lb2.
func backup(s *admin.Status) {
	s.VIPs[0].Role, s.VIPs[0].Holds = vrrp.Backup, false
	s.VIPs[0].Active, s.VIPs[0].ActiveHeard = netip.MustParseAddr("192.0.2.12"), now
	s.Peers[0].Roles["main"] = vrrp.Active
}

func TestJudge(t *testing.T) {
	servers := func(s *admin.Status) []admin.Server { return s.Pools[0].Servers }
	tests := []struct {
		name   string
		change func(s *admin.Status)
		level  Level
		says   string // one of the points begins with it; empty: there is none
	}{
		{"a pair that is well", func(*admin.Status) {}, OK, ""},
		{"the Backup of one", backup, OK, ""},
		{"a plain proxy", func(s *admin.Status) { s.Node, s.VIPs, s.Peers, s.Agent = "", nil, nil, nil }, OK, ""},

		{"both are active", func(s *admin.Status) { s.Peers[0].Roles["main"] = vrrp.Active }, Alarm, "main: both nodes are active"},
		{"one that is dead was active", func(s *admin.Status) { s.Peers[0].Roles["main"], s.Peers[0].Alive = vrrp.Active, false }, Warn, "lb2: silent"},
		{"nobody is active", func(s *admin.Status) {
			backup(s)
			s.Peers[0].Roles["main"], s.VIPs[0].ActiveHeard = vrrp.Backup, now.Add(-time.Minute)
		}, Alarm, "main: nobody is active"},
		{"an election is going on", func(s *admin.Status) {
			backup(s)
			s.Peers[0].Roles["main"], s.VIPs[0].ActiveHeard = vrrp.Backup, now.Add(-time.Second)
		}, OK, ""},
		{"no address", func(s *admin.Status) { s.VIPs[0].Holds = false }, Alarm, "main: active, but the addresses"},
		{"an error", func(s *admin.Status) { s.VIPs[0].Error = "the agent is not running" }, Alarm, "main: the agent is not running"},
		{"out of the election", func(s *admin.Status) { s.VIPs[0].Role, s.VIPs[0].Reason = vrrp.Init, "stopped" }, Alarm, "main: this node takes no part"},
		{"a conflict", func(s *admin.Status) {
			s.VIPs[0].Conflict = &admin.AddressClaim{Address: netip.MustParseAddr("192.0.2.100"), MAC: "02:00:00:00:00:01"}
		}, Alarm, "main: another host, 02:00:00:00:00:01, answers for 192.0.2.100"},
		{"flapping", func(s *admin.Status) { s.VIPs[0].Flapping = 7 }, Warn, "main: flapping: 7 changes"},
		{"lowered", func(s *admin.Status) {
			s.VIPs[0].Priority, s.VIPs[0].Lowered = 140, &admin.Lowered{By: 60, Reason: "interface eth1"}
		}, Warn, "main: priority lowered from 200 to 140: interface eth1"},
		{"removals", func(s *admin.Status) { s.VIPs[0].Removals = 2 }, Note, "main: someone else removed"},
		{"other addresses", func(s *admin.Status) { s.VIPs[0].AddressMismatch = true }, Warn, "main: another router advertises"},

		{"unfit, with a peer", func(s *admin.Status) { s.Fit, s.Unfit = false, "why" }, Warn, "lb1: not fit: why"},
		{"unfit, alone", func(s *admin.Status) { s.Fit, s.Unfit, s.Peers[0].Alive = false, "why", false }, Alarm, "lb1: not fit: why"},
		{"demoted", func(s *admin.Status) { s.Demoted, s.Unfit = true, "why" }, Warn, "lb1: stands back: why"},
		{"overload", func(s *admin.Status) { s.Overload.Reason = "memory" }, Alarm, "lb1: overloaded"},
		{"a config that was refused", func(s *admin.Status) { s.Config.Refused = "tandem.yaml:1:1: bad\nmore" }, Warn, "config: the newest was refused, the old one runs: tandem.yaml:1:1: bad"},
		{"no member", func(s *admin.Status) { s.Cluster = "why" }, Warn, "lb1: not a member of the cluster: why"},
		{"slept of late", func(s *admin.Status) { s.Agent.Slept = &admin.Sleep{At: now.Add(-time.Minute), For: time.Second} }, Warn, "lb1: its heartbeat was not run for 1s"},
		{"slept long ago", func(s *admin.Status) { s.Agent.Slept = &admin.Sleep{At: now.Add(-time.Hour), For: time.Second} }, OK, ""},
		{"no real time", func(s *admin.Status) { s.Agent.Realtime = "not permitted" }, Note, "lb1: the heartbeat runs without"},
		{"panics", func(s *admin.Status) { s.Panics = 1 }, Note, "lb1: 1 connections ended in a panic"},
		{"lost lines", func(s *admin.Status) { s.LogDropped = 5 }, Note, "lb1: 5 lines"},

		{"a silent peer", func(s *admin.Status) { s.Peers[0].Alive = false }, Warn, "lb2: silent"},
		{"a verdict", func(s *admin.Status) { s.Peers[0].Verdict, s.Peers[0].Explained = "cut", "in words" }, Warn, "lb2: in words"},
		{"a peer that was never heard", func(s *admin.Status) { s.Peers[0] = admin.Peer{Name: "lb2"} }, Warn, "lb2: not heard yet"},
		{"an unfit peer", func(s *admin.Status) { s.Peers[0].Fit, s.Peers[0].Unfit = false, "why" }, Warn, "lb2: not fit, it would not take over: why"},
		{"a peer that stands back", func(s *admin.Status) { s.Peers[0].Demoted = true }, Warn, "lb2: stands back"},
		{"drift", func(s *admin.Status) { s.Peers[0].Drift, s.Peers[0].Hash = true, "b" }, Warn, "lb2: runs another config: b, this node a"},
		{"a peer that misses something", func(s *admin.Status) { s.Peers[0].Lost = map[string][]admin.Lost{"all": {{What: "interface eth1"}}} }, Warn, "lb2: misses interface eth1"},

		{"a server is down", func(s *admin.Status) { servers(s)[0].Health, servers(s)[0].Reason = "down", "refused" }, Warn, "web: s1 is down: refused"},
		{"all are", func(s *admin.Status) { servers(s)[0].Health, servers(s)[1].Health = "down", "down" }, Alarm, "web: no server can take new work"},
		{"one is drained, the other down", func(s *admin.Status) { servers(s)[0].Share.State, servers(s)[1].Health = "drain", "down" }, Alarm, "web: no server can take new work"},
		{"one is drained", func(s *admin.Status) { servers(s)[0].Share.State = "drain" }, Note, "web: s1 is in drain"},
		{"set aside", func(s *admin.Status) {
			servers(s)[0].Ejected = admin.Ejection{Until: now.Add(time.Second), Reason: "5 failures"}
		}, Warn, "web: s1 is set aside: 5 failures"},
		{"not set aside any more", func(s *admin.Status) { servers(s)[0].Ejected = admin.Ejection{Until: now.Add(-time.Second)} }, OK, ""},
		{"the breaker of a server", func(s *admin.Status) { servers(s)[0].Breaker.State = "half-open" }, Warn, "web: s1: its breaker is half-open"},
		{"the breaker of the pool", func(s *admin.Status) { s.Pools[0].Breaker.State = "open" }, Alarm, "web: the breaker of the pool is open"},
		{"a full queue", func(s *admin.Status) { s.Pools[0].QueueLength, s.Pools[0].Waiting = 5, 5 }, Warn, "web: its queue is full"},
		{"a pool without servers yet", func(s *admin.Status) { s.Pools[0].Servers = nil }, Alarm, "web: it has no server"},
		{"a name", func(s *admin.Status) { s.Names = []admin.Name{{Name: "web.internal", Error: "no such host"}} }, Warn, "web.internal: cannot be looked up: no such host"},
		{"events that are not kept", func(s *admin.Status) { s.Timeline = "why" }, Note, "events: they are forgotten with the process: why"},
		{"a weight", func(s *admin.Status) {
			w := 5
			s.RuntimeChanges = []admin.RuntimeChange{{Pool: "web", Server: "s1", Weight: &w}}
		}, Note, "web: s1 was changed at runtime"},
		{"an expired certificate", func(s *admin.Status) {
			s.Certificates.List = []admin.Certificate{{Listener: "shop", Path: "/a.pem", NotAfter: now.Add(-time.Hour)}}
		}, Alarm, "shop: its certificate has expired: /a.pem"},
		{"bad files", func(s *admin.Status) { s.Certificates.Problems = []admin.FilesProblem{{Error: "why"}} }, Warn, "certificates: changed files are not in use: why"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := pair()
			tt.change(s)
			v := Judge(now, s)
			if v.Level != tt.level {
				t.Errorf("level %s, want %s: %+v", v.Level, tt.level, v.Points)
			}
			var texts []string
			for _, p := range v.Points {
				texts = append(texts, p.Subject+": "+p.Text)
			}
			all := strings.Join(texts, "\n")
			if tt.says == "" && len(texts) > 0 || tt.says != "" && !strings.Contains("\n"+all, "\n"+tt.says) {
				t.Errorf("it says %q, want %q", texts, tt.says)
			}
		})
	}
}

func TestHeadlinesAndLines(t *testing.T) {
	tests := []struct {
		name     string
		change   func(s *admin.Status)
		headline string
		lines    []string
	}{
		{"active", func(*admin.Status) {}, "All is well", []string{"lb1 is active for main; lb2 stands by."}},
		{"backup", backup, "All is well", []string{"lb2 is active for main; lb1 stands by."}},
		{"a note is no trouble", func(s *admin.Status) { s.LogDropped = 1 }, "All is well", []string{"lb1 is active for main; lb2 stands by."}},
		{"alone", func(s *admin.Status) { s.Peers[0].Alive = false }, "One thing to look at", []string{"lb1 is active for main."}},
		{"two warnings and a note", func(s *admin.Status) { s.Peers[0].Drift, s.Cluster, s.LogDropped = true, "why", 1 }, "2 things to look at", []string{"lb1 is active for main; lb2 stands by."}},
		{"an alarm", func(s *admin.Status) { s.Overload.Reason = "memory" }, "Something is wrong", []string{"lb1 is active for main; lb2 stands by."}},
		{"both nodes work", func(s *admin.Status) {
			s.VIPs = append(s.VIPs, admin.VIP{Name: "two", Role: vrrp.Backup, Since: now, Active: netip.MustParseAddr("192.0.2.12")})
			s.Peers[0].Roles["two"] = vrrp.Active
		}, "All is well", []string{"lb1 is active for main; lb2 stands by.", "lb2 is active for two; lb1 stands by."}},
		{"a foreign router is active", func(s *admin.Status) {
			backup(s)
			s.Peers[0].Roles = nil
		}, "All is well", []string{"192.0.2.12 is active for main; lb1 stands by."}},
		{"nobody is active yet", func(s *admin.Status) {
			backup(s)
			s.Peers[0].Roles, s.VIPs[0].Active, s.VIPs[0].Since = nil, netip.Addr{}, now
		}, "All is well", []string{}},
		{"many VIPs", func(s *admin.Status) {
			for _, name := range []string{"b", "c", "d", "e", "f"} {
				s.VIPs = append(s.VIPs, admin.VIP{Name: name, Role: vrrp.Active, Holds: true})
			}
		}, "All is well", []string{"lb1 is active for main, b, c, d and 2 more; lb2 stands by."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := pair()
			tt.change(s)
			v := Judge(now, s)
			if v.Headline != tt.headline {
				t.Errorf("headline %q, want %q: %+v", v.Headline, tt.headline, v.Points)
			}
			if diff := cmp.Diff(tt.lines, v.Lines); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestManyServersAreCounted(t *testing.T) {
	s := pair()
	for range 10 {
		s.Pools[0].Servers = append(s.Pools[0].Servers, admin.Server{Name: "s", Health: "down"})
	}
	v := Judge(now, s)
	if len(v.Points) != 1 || v.Points[0].Text != "10 of 12 servers are down" {
		t.Errorf("points %+v", v.Points)
	}
}

// What is said stays where it is from one second to the next.
func TestPointsKeepTheirOrder(t *testing.T) {
	s := pair()
	s.Peers[0].Lost = map[string][]admin.Lost{}
	for _, group := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		s.Peers[0].Lost[group] = []admin.Lost{{What: "interface eth1"}}
	}
	first := Judge(now, s)
	for range 10 {
		if diff := cmp.Diff(first.Points, Judge(now, s).Points); diff != "" {
			t.Fatalf("points (-first +again):\n%s", diff)
		}
	}
}
