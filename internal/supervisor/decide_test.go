package supervisor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/internal/place"
	"github.com/tandemlb/tandem/internal/timeline"
	"github.com/tandemlb/tandem/vrrp"
)

// trackingScene is a pair that tracks a gateway, all well, seen by the Active lb1.
func trackingScene(t *testing.T) (*coordinator, scene) {
	cfg := parse(t, strings.Replace(pairConfig, "vip: 192.0.2.100/24", "vips: {main: {addresses: 192.0.2.100/24, track: {gateway: 192.0.2.1}}}", 1))
	host := []place.Interface{{Name: "eth0", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.11/24")}}}
	all, err := place.Routers(cfg, cfg.Nodes[0], host)
	if err != nil {
		t.Fatal(err)
	}
	sc := scene{
		loaded: &loaded{config: cfg, hash: "h", self: cfg.Nodes[0], routers: all},
		worker: workerView{ready: true},
		agent:  agentView{pid: 7, state: &ipc.AgentState{Routers: []ipc.RouterState{{Name: "main", Status: vrrp.Status{Role: vrrp.Active, Priority: 200}}}}},
		views: []peer.View{{Name: "lb2", Alive: true, State: &peer.State{Node: "lb2", ConfigHash: "h", Fit: true,
			VIPs: map[string]peer.VIP{"main": {Role: vrrp.Backup}}, Lost: map[string][]peer.Lost{"main": {}}}}},
	}
	s := &Supervisor{o: Options{Log: zap.NewNop()}, history: timeline.New(timeline.Options{Node: "lb1", Boot: time.Unix(1, 0)})}
	return newCoordinator(s), sc
}

func TestLostGatewayLowersThePriorityByThePenalty(t *testing.T) {
	c, sc := trackingScene(t)
	now := time.Unix(1000, 0)
	if out := c.decide(now, sc); !out.fit.Fit || len(out.fit.Lowered) != 0 || out.facts.PeerAlive != vrrp.Yes {
		t.Fatalf("all is well: %+v", out)
	}
	sc.agent.state.Routers[0].Lost = []ipc.Lost{{What: "gateway 192.0.2.1", Since: now}}
	if out := c.decide(now, sc); len(out.fit.Lowered) != 0 {
		t.Errorf("lowered before the peer could say that it lost the gateway too: %+v", out.fit.Lowered)
	}
	now = now.Add(1100 * time.Millisecond)
	out := c.decide(now, sc)
	if low := out.fit.Lowered["main"]; low.By != sc.loaded.config.VIPs[0].Penalty() || low.By != 51 ||
		!strings.Contains(low.Reason, "gateway 192.0.2.1 does not answer") {
		t.Errorf("lowered %+v", out.fit.Lowered)
	}
	if lost := out.says.Lost["main"]; len(lost) != 1 || lost[0].What != "gateway 192.0.2.1" {
		t.Errorf("the peer is told %+v", out.says.Lost)
	}

	t.Log("# it is back: believed after a while")
	sc.agent.state.Routers[0].Lost = nil
	now = now.Add(time.Second)
	if out := c.decide(now, sc); len(out.fit.Lowered) == 0 {
		t.Error("raised at once")
	}
	now = now.Add(judge.SteadyFor)
	if out := c.decide(now, sc); len(out.fit.Lowered) != 0 {
		t.Errorf("still lowered: %+v", out.fit.Lowered)
	}
}

func TestGatewayThatBothLostMovesNobody(t *testing.T) {
	c, sc := trackingScene(t)
	now := time.Unix(1000, 0)
	lost := ipc.Lost{What: "gateway 192.0.2.1", Since: now}
	sc.agent.state.Routers[0].Lost = []ipc.Lost{lost}
	c.decide(now, sc)
	sc.views[0].State.Lost["main"] = []peer.Lost{{What: lost.What, Since: now}}
	for range 100 {
		now = now.Add(100 * time.Millisecond)
		if out := c.decide(now, sc); len(out.fit.Lowered) != 0 {
			t.Fatalf("lowered: %+v", out.fit.Lowered)
		}
	}
}

func TestWhatHappenedIsRememberedOnce(t *testing.T) {
	c, sc := trackingScene(t)
	now := time.Unix(1000, 0)
	change := vrrp.Change{At: now, From: vrrp.Backup, To: vrrp.Active, Reason: "silence", Priority: 200, NewActive: vrrp.NoResponse}
	sc.agent.state.Routers[0].Changes = []vrrp.Change{change}
	sc.agent.state.Slept = ipc.Sleep{At: now, For: 812 * time.Millisecond, Count: 1}
	for range 3 {
		c.note(now, sc, c.decide(now, sc))
	}
	var events []string
	for _, e := range c.history.Events(time.Time{}, 100) {
		events = append(events, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Subject, ": ", e.What)))
	}
	for _, want := range []string{"role main: backup -> active: silence", "stall : asleep for 812ms", "gossip lb2: alive", "fitness : fit", "agent : started, pid 7"} {
		if n := len(slices.DeleteFunc(slices.Clone(events), func(s string) bool { return s != want })); n != 1 {
			t.Errorf("%q is remembered %d times, in %q", want, n, events)
		}
	}
	if got := c.activations["main"]; got[vrrp.NoResponse] != 1 {
		t.Errorf("activations %v", got)
	}
}
