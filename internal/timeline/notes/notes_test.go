package notes

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// lines are events as an operator reads them.
func lines(all []admin.Event) []string {
	var texts []string
	for _, e := range all {
		text := strings.Join(strings.Fields(fmt.Sprint(e.Kind, " ", e.Subject, ": ", e.What)), " ")
		if e.Evidence != "" {
			text += " (" + e.Evidence + ")"
		}
		texts = append(texts, text)
	}
	return texts
}

// story is notes under a clock.
type story struct {
	t   *testing.T
	n   Notes
	now time.Time
}

func newStory(t *testing.T) *story { return &story{t: t, now: noon} }

// sees has the notes take a scene, twice, some time after the last.
func (s *story) sees(after time.Duration, sc Scene, want ...string) {
	s.t.Helper()
	s.now = s.now.Add(after)
	sc.Fitness.Fit = true
	got := lines(s.n.Take(s.now, sc))
	if len(got) > 0 && got[0] == "fitness : fit" {
		got = got[1:]
	}
	if diff := cmp.Diff(want, got, cmp.Transformer("empty", func(l []string) string { return strings.Join(l, "\n") })); diff != "" {
		s.t.Errorf("at %v (-want +got):\n%s", s.now.Sub(noon), diff)
	}
	if again := lines(s.n.Take(s.now, sc)); len(again) > 0 {
		s.t.Errorf("at %v it is said again: %q", s.now.Sub(noon), again)
	}
}

func TestProcesses(t *testing.T) {
	s := newStory(t)
	s.sees(0, Scene{})
	s.sees(0, Scene{Worker: Process{PID: 7}}, "worker : started, pid 7")
	s.sees(0, Scene{Worker: Process{Ends: 1, Last: errors.New("signal: killed")}}, "worker : ended, 1 times by now (signal: killed)")
	s.sees(0, Scene{Worker: Process{PID: 8, Ends: 1, Last: errors.New("signal: killed")}}, "worker : started, pid 8 (the one before: signal: killed)")
}

func TestFitness(t *testing.T) {
	n, now := Notes{}, noon
	for _, step := range []struct {
		after time.Duration
		is    ipc.Fitness
		want  string
	}{
		{0, ipc.Fitness{Reason: "the proxy is starting"}, ""},
		{startsWithin, ipc.Fitness{Reason: "the proxy is starting"}, "fitness : not fit (the proxy is starting)"},
		{0, ipc.Fitness{Reason: "the worker has ended"}, ""},
		{0, ipc.Fitness{Fit: true}, "fitness : fit"},
		{0, ipc.Fitness{Fit: true, Demoted: true, Reason: "it reaches none"}, "fitness : demoted (it reaches none)"},
		{0, ipc.Fitness{Reason: "the worker has ended"}, "fitness : not fit (the worker has ended)"},
	} {
		now = now.Add(step.after)
		if got := strings.Join(lines(n.Take(now, Scene{Fitness: step.is})), "; "); got != step.want {
			t.Errorf("%+v: %q, want %q", step.is, got, step.want)
		}
	}
}

func TestRolesAreSaidWithWhatWasKnown(t *testing.T) {
	s := newStory(t)
	one := vrrp.Change{At: noon, From: vrrp.Init, To: vrrp.Backup, Reason: "started", Priority: 150}
	two := vrrp.Change{At: noon.Add(time.Second), From: vrrp.Backup, To: vrrp.Active, Reason: "silence", Priority: 150,
		Peer: netip.MustParseAddr("192.0.2.11"), PeerPriority: 200, Facts: vrrp.Facts{PeerAlive: vrrp.No}, NewActive: vrrp.NoResponse}
	s.sees(0, Scene{Routers: []ipc.RouterState{{Name: "main", Changes: []vrrp.Change{one}}}}, "role main: init -> backup: started (priority 150)")
	s.sees(0, Scene{Routers: []ipc.RouterState{{Name: "main", Changes: []vrrp.Change{one, two}}}},
		"role main: backup -> active: silence (priority 150, 192.0.2.11 was heard with 200, the peer was silent by gossip)")
	if got := s.n.Activations()["main"]; got[vrrp.NoResponse] != 1 || len(got) != 1 {
		t.Errorf("activations %v", got)
	}
}

func TestWhatOthersDoForEverIsSaidSeldom(t *testing.T) {
	s := newStory(t)
	sees := func(after time.Duration, removals uint64, mac string, want ...string) {
		t.Helper()
		s.sees(after, Scene{Routers: []ipc.RouterState{{Name: "main", Removals: removals, Conflict: &ipc.Conflict{
			Address: netip.MustParseAddr("192.0.2.100"), MAC: mac, At: s.now.Add(after)}}}}, want...)
	}
	sees(0, 1, "02::66", "conflict main: 02::66 answers for 192.0.2.100", "removal main: someone else removed an address, 1 times by now")
	for i := range 59 {
		sees(time.Second, uint64(2+i), []string{"02::66", "02::67"}[i%2])
	}
	sees(time.Second, 90, "02::67", "conflict main: 02::67 answers for 192.0.2.100", "removal main: someone else removed an address, 90 times by now")
}

// A clock that is set back by an hour hides nothing for an hour.
func TestConflictsAfterAClockIsSetBack(t *testing.T) {
	s := newStory(t)
	sees := func(after time.Duration, mac string, want ...string) {
		t.Helper()
		s.sees(after, Scene{Routers: []ipc.RouterState{{Name: "main", Conflict: &ipc.Conflict{
			Address: netip.MustParseAddr("192.0.2.100"), MAC: mac, At: s.now.Add(after)}}}}, want...)
	}
	sees(0, "02::66", "conflict main: 02::66 answers for 192.0.2.100")
	sees(-time.Hour, "02::66", "conflict main: 02::66 answers for 192.0.2.100")
	sees(time.Second, "02::67")
	sees(time.Minute, "02::67", "conflict main: 02::67 answers for 192.0.2.100")
}

func TestPeers(t *testing.T) {
	s := newStory(t)
	p := Peer{View: peer.View{Name: "lb2", Since: noon}}
	s.sees(0, Scene{Peers: []Peer{p}})
	p.State = &peer.State{}
	s.sees(0, Scene{Peers: []Peer{p}}) // it speaks, and is about to come
	p.Alive, p.State = true, &peer.State{ConfigHash: "bb"}
	s.sees(0, Scene{Hash: "aa", Peers: []Peer{p}}, "gossip lb2: alive")
	p.Drifts = true
	s.sees(0, Scene{Hash: "aa", Peers: []Peer{p}}, "drift lb2: runs bb, this node aa")
	t.Log("# it is started anew, and has not said yet which config it runs")
	p.Drifts, p.State = false, &peer.State{}
	s.sees(0, Scene{Hash: "aa", Peers: []Peer{p}})
	p.Verdict, p.State = "death", &peer.State{ConfigHash: "aa"}
	s.sees(time.Second, Scene{Hash: "aa", Peers: []Peer{p}}, "verdict lb2: death (gossip alive for 1s)", "drift lb2: "+DriftOver)
	p.Verdict = ""
	s.sees(0, Scene{Hash: "aa", Peers: []Peer{p}}, "verdict lb2: no doubt any more (gossip alive for 1s)")
}

// serves is a pool "web" of servers whose health is said one by one.
func serves(health ...string) Scene {
	p := ipc.PoolState{Name: "web"}
	for i, h := range health {
		p.Servers = append(p.Servers, ipc.ServerState{Name: fmt.Sprint("s", i), Health: h, Reason: "it said so"})
	}
	return Scene{Pools: &ipc.WorkerState{Pools: []ipc.PoolState{p}}}
}

func TestHealthOfServers(t *testing.T) {
	s := newStory(t)
	s.sees(0, serves("unknown", "unknown"))
	s.sees(0, serves("up", "down"), "health web/s1: down (it said so)")
	s.sees(0, serves("down", "down"), "health web/s0: down (it said so)")
	t.Log("# a new worker has yet to find out")
	s.sees(0, Scene{})
	s.sees(0, serves("unknown", "unknown"))
	s.sees(0, serves("up", "down"), "health web/s0: up (it said so)")
}

func TestAServerThatFlapsIsSummedUp(t *testing.T) {
	s := newStory(t)
	said := 0
	for i := range 600 {
		s.now = s.now.Add(time.Second)
		said += len(s.n.Take(s.now, serves([]string{"up", "down"}[i%2])))
	}
	if most := poolBurst + int(600*time.Second/poolEvery) + 2; said > most || said < most/2 {
		t.Errorf("%d events in ten minutes, at most %d are to be", said, most)
	}
	t.Log("# and at last it is said how it is")
	s.now = s.now.Add(poolEvery)
	got := lines(s.n.Take(s.now, serves("up")))
	if len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "health web: ") || !strings.HasSuffix(got[len(got)-1], "changes of its servers: 1 up, 0 down (s0 up)") {
		t.Errorf("%q", got)
	}
}

func TestAPoolThatFailsAltogetherIsOneEvent(t *testing.T) {
	s := newStory(t)
	up, down := make([]string, 50), make([]string, 50)
	for i := range up {
		up[i], down[i] = "up", "down"
	}
	s.sees(0, serves(up...))
	s.sees(time.Second, serves(down...), "health web: 50 changes of its servers: 0 up, 50 down (s0 down, s1 down, s2 down, s3 down, s4 down, and 45 more)")
	s.sees(time.Second, serves(append([]string{"up"}, down[1:]...)...), "health web/s0: up (it said so)")
}

func TestEjectionsAndBreakers(t *testing.T) {
	s := newStory(t)
	sees := func(ejected ipc.Ejection, b ipc.Breaker, want ...string) {
		t.Helper()
		sc := serves("up")
		sc.Pools.Pools[0].Servers[0].Ejected, sc.Pools.Pools[0].Breaker = ejected, b
		s.sees(time.Second, sc, want...)
	}
	closed := ipc.Breaker{State: "closed"}
	sees(ipc.Ejection{}, closed)
	sees(ipc.Ejection{Count: 1, Until: noon.Add(32 * time.Second), Reason: "3 failures in a row"}, closed, "ejection web/s0: set aside for 30s (3 failures in a row)")
	t.Log("# it is over before anybody looks")
	e := ipc.Ejection{Count: 2, Reason: "3 failures in a row"}
	sees(e, closed, "ejection web/s0: set aside for a moment (3 failures in a row)")
	sees(e, ipc.Breaker{State: "open", Requests: 20, Failed: 12, Opens: 1}, "breaker web: open (12 of 20 failed)")
	sees(e, ipc.Breaker{State: "half-open", Opens: 1})
	sees(e, ipc.Breaker{State: "open", Requests: 20, Failed: 12, Opens: 2})
	sees(e, ipc.Breaker{State: "closed", Opens: 2}, "breaker web: closed")
	sees(e, ipc.Breaker{State: "closed", Opens: 3, Requests: 9, Failed: 8}, "breaker web: open, and closed again (8 of 9 failed)")
	t.Log("# a new worker counts anew")
	sees(ipc.Ejection{}, closed)
	sees(ipc.Ejection{Count: 1, Until: noon.Add(40 * time.Second), Reason: "again"}, closed, "ejection web/s0: set aside for 30s (again)")
}
