package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/vrrp"
)

func TestTakeoverAfterDeathOfTheWholeNode(t *testing.T) {
	p := newPair(t)
	p.expectOwner(p.lb1, patience)
	if err := lab.Kill(p.lb1.proc); err != nil {
		t.Fatal(err)
	}
	p.lb2.waitStatus("active", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active })
	p.lb1.waitGone(leaseEnds)
	p.expectOwner(p.lb2, patience)

	t.Log("# it comes back, and takes over again")
	p.lb1.start()
	p.settle()
	p.expectOwner(p.lb1, patience)
}

// watchesPeer is so when the death of the peer's process would be noticed.
func watchesPeer(s *admin.Status) bool { return strings.HasPrefix(s.Agent.Notice, "connected") }

func TestDeathOfTheAgent(t *testing.T) {
	p := newPair(t)
	p.lb2.waitStatus("watches lb1", watchesPeer)
	before := p.lb1.signal("agent", syscall.SIGKILL)
	p.lb2.waitStatus("knows of the death", func(s *admin.Status) bool {
		return s.VIPs[0].Role == vrrp.Active && strings.HasPrefix(s.VIPs[0].Reason, "the process of the Active router 10.77.0.1 died")
	})
	p.lb1.waitGone(leaseEnds)
	s := p.lb1.waitStatus("has a new agent", func(s *admin.Status) bool { return s.Agent.PID != 0 && s.Agent.PID != before })
	if s.Agent.Restarts == 0 || s.Worker.Restarts != 0 {
		t.Errorf("restarts: agent %d, worker %d", s.Agent.Restarts, s.Worker.Restarts)
	}
	p.settle()
	p.expectOwner(p.lb1, patience)
}

func TestAgentDeadAndNobodyToHelp(t *testing.T) {
	p := newPair(t)
	if err := p.lb1.proc.Signal(syscall.SIGSTOP); err != nil { // the supervisor alone
		t.Fatal(err)
	}
	p.lb1.signal("agent", syscall.SIGKILL)
	p.lb1.waitGone(leaseEnds)
	p.expectOwner(p.lb2, patience)
	if err := p.lb1.proc.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.settle()
	p.expectOwner(p.lb1, patience)
}

func TestDeathOfTheWorkerMovesTheVIP(t *testing.T) {
	p := newPair(t)
	takeovers := p.lb2.takeovers()
	before := p.lb1.signal("worker", syscall.SIGKILL)
	p.lb1.waitGone(patience)
	p.lb2.waitTakeover(takeovers)
	p.lb1.waitStatus("has a new worker", func(s *admin.Status) bool {
		return s.Worker.PID != 0 && s.Worker.PID != before && s.Worker.Restarts == 1
	})
	p.settle()
	p.expectOwner(p.lb1, patience)
}

func TestWorkerThatHangsIsReplaced(t *testing.T) {
	p := newPair(t)
	takeovers := p.lb2.takeovers()
	before := p.lb1.signal("worker", syscall.SIGSTOP)
	p.lb2.waitTakeover(takeovers)
	p.lb1.eventually(patience, "the hung worker is gone", func() (bool, string) { return ended(before), "it is there" })
	p.settle()
	p.expectOwner(p.lb1, patience)
}

func TestDeathOfTheSupervisor(t *testing.T) {
	p := newPair(t)
	children := p.lb1.children()
	if err := p.lb1.proc.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.expectOwner(p.lb2, patience)
	for name, pid := range children {
		p.lb1.eventually(patience, "the "+name+" has ended", func() (bool, string) { return ended(pid), "it runs" })
	}
	// Its agent resigned, but the newest gossip calls it active.
	p.lb2.waitStatus("takes lb1 for dead", func(s *admin.Status) bool {
		if s.Peers[0].Verdict == string(judge.Cut) {
			t.Error("a node that resigned is taken for one beyond a cut")
		}
		return s.Peers[0].Verdict == string(judge.Death)
	})

	t.Log("# the service manager starts it anew, on the same ports")
	p.lb1.start()
	p.settle()
	p.expectOwner(p.lb1, patience)
}

func TestWholeNodeFrozenAndBack(t *testing.T) {
	p := newPair(t)
	frozen, err := p.lb1.proc.Stop()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p.expectOwner(p.lb2, leaseEnds+time.Second)
	p.lb1.eventually(patience, "five seconds pass", func() (bool, string) { return time.Since(began) >= 5*time.Second, "" })
	p.expectOwner(p.lb2, patience)

	if err := p.lb1.proc.Continue(frozen); err != nil {
		t.Fatal(err)
	}
	p.settle()
	p.expectOwner(p.lb1, patience)
	s := p.lb1.waitStatus("is whole", func(s *admin.Status) bool { return s.Fit })
	if s.Worker.Restarts != 0 || s.Agent.Restarts != 0 {
		t.Errorf("a freeze cost %d workers and %d agents", s.Worker.Restarts, s.Agent.Restarts)
	}
}

func TestLinkCutAndHeal(t *testing.T) {
	for name, cut := range map[string]func(*lab.Host) error{
		"the carrier goes":  (*lab.Host).Cut,
		"the carrier stays": (*lab.Host).CutSilently,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			if err := cut(p.lb1.host); err != nil {
				t.Fatal(err)
			}
			p.lb2.waitStatus("takes over", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active })
			p.lb2.eventually(patience, "the client is served", func() (bool, string) {
				_, err := p.get("/")
				return err == nil, "it is not"
			})
			if err := p.lb1.host.Heal(); err != nil {
				t.Fatal(err)
			}
			p.settle()
			p.expectOwner(p.lb1, patience)
		})
	}
}

func TestCutIsToldFromDeath(t *testing.T) {
	p := newPair(t)
	verdict := func(n *node, want string) {
		t.Helper()
		n.waitStatus("has the verdict "+want, func(s *admin.Status) bool { return s.Peers[0].Verdict == want })
	}
	for _, n := range []*node{p.lb1, p.lb2} {
		if err := n.host.CutMulticast(); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []*node{p.lb1, p.lb2} {
		verdict(n, "cut")
	}
	if out, err := p.lb1.ask("status"); err != nil || !strings.Contains(out, "CUT: both nodes are active") {
		t.Errorf("status: %v\n%s", err, out)
	}
	t.Log("# it heals: one owner, which announced last, and no doubt")
	for _, n := range []*node{p.lb1, p.lb2} {
		if err := n.host.Heal(); err != nil {
			t.Fatal(err)
		}
	}
	p.settle()
	p.expectOwner(p.lb1, patience)
	verdict(p.lb1, "")
	verdict(p.lb2, "")

	t.Log("# death")
	if err := lab.Kill(p.lb1.proc); err != nil {
		t.Fatal(err)
	}
	verdict(p.lb2, "death")
}

func TestNodeThatReachesNoServerStandsBack(t *testing.T) {
	p := startPair(t, strings.ReplaceAll(quickConfig(), "check: GET /", "check: {http: GET /, every: 200ms}"))
	var unreachable []netlink.Route
	for _, s := range failover.Servers() {
		dst := netlink.NewIPNet(s.Addresses[0].Addr().AsSlice())
		unreachable = append(unreachable, netlink.Route{Dst: dst, Type: unix.RTN_UNREACHABLE})
	}
	change := func(n *node, do func(*netlink.Route) error) {
		t.Helper()
		err := n.host.Do(func() error {
			for _, r := range unreachable {
				if err := do(&r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	change(p.lb1, netlink.RouteAdd)
	p.lb1.waitStatus("is demoted", func(s *admin.Status) bool {
		return s.Demoted && s.Unfit == "it reaches none of its servers, and lb2 does"
	})
	p.expectOwner(p.lb2, patience)

	t.Log("# the other reaches none either: nobody is better, and somebody serves the 503")
	change(p.lb2, netlink.RouteAdd)
	p.lb1.waitStatus("is as good as lb2", func(s *admin.Status) bool { return !s.Demoted })
	p.lb1.waitStatus("is active again", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active })
	resp, err := p.get("/")
	if resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("answer %+v, %v", resp, err)
	}

	t.Log("# all is well again")
	change(p.lb1, netlink.RouteDel)
	change(p.lb2, netlink.RouteDel)
	p.settle()
	p.expectOwner(p.lb1, patience)
}

func TestOrderlyStopHandsOver(t *testing.T) {
	p := newPair(t)
	children := p.lb1.children()
	if err := p.lb1.proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.lb1.proc.Err(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if p.lb1.has() {
		t.Error("the VIP is still there")
	}
	for name, pid := range children {
		if !ended(pid) {
			t.Errorf("the %s lives on", name)
		}
	}
	p.expectOwner(p.lb2, patience)
	p.lb2.waitStatus("knows that lb1 left", func(s *admin.Status) bool { return !s.Peers[0].Alive })
}

func TestWithoutPreemptTheVIPStays(t *testing.T) {
	p := startPair(t, pairConfig("preempt: false"))
	if err := lab.Kill(p.lb1.proc); err != nil {
		t.Fatal(err)
	}
	p.lb1.waitGone(leaseEnds)
	p.expectOwner(p.lb2, patience)
	p.lb1.start()
	p.lb1.waitStatus("is a backup that heard the Active router", func(s *admin.Status) bool {
		return s.VIPs[0].Role == vrrp.Backup && s.VIPs[0].Counters.Received > 20
	})
	p.expectOwner(p.lb2, patience)
}
