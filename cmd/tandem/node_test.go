package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/labtest"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	lb1, lb2 = failover.LB1, failover.LB2
	// leaseEnds is how long an address may stay on a node that has nobody left to
	// renew it: the lease, and what the kernel adds. It looks for expired
	// addresses once a second at most, and must first get the lock that the
	// building of other labs holds for long.
	leaseEnds = 4 * time.Second
	patience  = 20 * time.Second // for what must happen at all
)

// scene returns a lab with servers and a client, without a node.
func scene(t *testing.T) *failover.Scene { return sceneOf(t, failover.Spec{}) }

func sceneOf(t *testing.T, spec failover.Spec) *failover.Scene {
	t.Helper()
	s, err := failover.NewScene(spec)
	if errors.Is(err, lab.ErrNotPermitted) {
		t.Skipf("needs root: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	})
	return s
}

// node is a node of the pair under test.
type node struct {
	t      *testing.T
	name   string
	host   *lab.Host
	proc   *lab.Process
	dir    string
	config string
	socket string
	log    string
}

// pair is two nodes with the same config, one file each.
type pair struct {
	*failover.Scene
	t        *testing.T
	lb1, lb2 *node
}

// newPair starts both nodes and waits until lb1 is Active and lb2 Backup. lb1
// comes first: without preemption, whoever is first stays.
func newPair(t *testing.T) *pair {
	t.Helper()
	return startPair(t, quickConfig())
}

func startPair(t *testing.T, config string) *pair {
	t.Helper()
	s := scene(t)
	p := &pair{Scene: s, t: t, lb1: newNode(t, s, lb1, config), lb2: newNode(t, s, lb2, config)}
	p.lb1.start()
	p.lb1.waitStatus("active", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active })
	p.lb2.start()
	p.settle()
	return p
}

// settle waits until lb1 is Active and lb2 Backup, both with all servers up.
func (p *pair) settle() {
	p.t.Helper()
	for n, role := range map[*node]vrrp.Role{p.lb1: vrrp.Active, p.lb2: vrrp.Backup} {
		n.waitStatus(role.String()+" with its servers up", func(s *admin.Status) bool {
			v := s.VIPs[0]
			heard := role == vrrp.Active || v.Active.IsValid() // a Backup knows whose
			return s.Fit && v.Role == role && v.Holds == (role == vrrp.Active) && heard && serversUp(s)
		})
	}
}

func serversUp(s *admin.Status) bool {
	for _, p := range s.Pools {
		for _, v := range p.Servers {
			if v.Health != "up" {
				return false
			}
		}
	}
	return len(s.Pools) > 0
}

func newNode(t *testing.T, s *failover.Scene, name, config string) *node {
	t.Helper()
	dir := t.TempDir()
	n := &node{t: t, name: name, host: s.Lab.Host(name), dir: dir, config: filepath.Join(dir, "tandem.yaml"),
		socket: filepath.Join(dir, "admin.sock"), log: filepath.Join(dir, "log")}
	n.write(config)
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(n.log)
			lines := strings.Split(string(text), "\n")
			t.Logf("log of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
	return n
}

func (n *node) write(config string) {
	n.t.Helper()
	if err := os.WriteFile(n.config, []byte(config), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// command is this program inside the node, logging to the node's file.
func (n *node) command(args ...string) *exec.Cmd {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { log.Close() })
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "tandem"
	// The race detector would sleep for a second at each exit.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "STATE_DIRECTORY="+filepath.Join(n.dir, "state"))
	cmd.Stdout, cmd.Stderr = log, log
	return cmd
}

func (n *node) start() {
	n.t.Helper()
	var err error
	n.proc, err = n.host.Start(n.command("run", "-c", n.config, "--node", n.name, "--socket", n.socket))
	if err != nil {
		n.t.Fatal(err)
	}
}

// ask runs a subcommand against the node and returns what it printed.
func (n *node) ask(args ...string) (string, error) {
	cmd := exec.Command("/proc/self/exe", append(args, "--socket", n.socket)...)
	cmd.Args[0] = "tandem"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (n *node) status() (*admin.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return admin.NewClient(n.socket).Status(ctx)
}

// waitStatus waits until the node's status is as wanted, and returns it.
func (n *node) waitStatus(what string, ok func(*admin.Status) bool) *admin.Status {
	n.t.Helper()
	var last *admin.Status
	n.eventually(patience, n.name+" "+what, func() (bool, string) {
		s, err := n.status()
		if err != nil {
			return false, err.Error()
		}
		last = s
		var text bytes.Buffer
		_ = printStatus(&text, s, time.Now())
		return ok(s), text.String()
	})
	return last
}

// eventually waits until ok, which also says what it sees.
func (n *node) eventually(within time.Duration, what string, ok func() (bool, string)) {
	n.t.Helper()
	labtest.Eventually(n.t, within, what, ok)
}

// has reports whether the kernel of the node holds the VIP.
func (n *node) has() bool {
	n.t.Helper()
	has, err := n.host.Has(failover.VIP().Addr())
	if err != nil {
		n.t.Fatal(err)
	}
	return has
}

// waitGone waits until the kernel of the node holds the VIP no more.
func (n *node) waitGone(within time.Duration) {
	n.t.Helper()
	n.eventually(within, "the VIP has left "+n.name, func() (bool, string) { return !n.has(), "it is there" })
}

// children returns the node's processes by name: agent, worker.
func (n *node) children() map[string]int {
	n.t.Helper()
	pids, err := n.proc.Descendants()
	if err != nil {
		n.t.Fatal(err)
	}
	found := map[string]int{}
	for _, pid := range pids {
		if words, err := lab.Words(pid); err == nil && len(words) > 1 {
			found[words[1]] = pid
		}
	}
	return found
}

// signal sends sig to the node's child of that name.
func (n *node) signal(child string, sig syscall.Signal) (pid int) {
	n.t.Helper()
	pid = n.children()[child]
	if pid == 0 {
		n.t.Fatalf("%s has no %s", n.name, child)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		n.t.Fatal(err)
	}
	return pid
}

// takeovers is how often the node has become Active so far.
func (n *node) takeovers() uint64 {
	n.t.Helper()
	s := n.waitStatus("answers", func(s *admin.Status) bool { return s.Agent.PID != 0 })
	return s.VIPs[0].Counters.Transitions
}

// waitTakeover waits until the node has become Active once more than before.
func (n *node) waitTakeover(before uint64) {
	n.t.Helper()
	n.waitStatus("takes over", func(s *admin.Status) bool { return s.VIPs[0].Counters.Transitions > before })
}

// ended reports whether a process is gone or a zombie.
func ended(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

// expectOwner waits until owner alone holds the VIP, the client's neighbour
// entry is the owner's, and the client is served.
func (p *pair) expectOwner(owner *node, within time.Duration) {
	p.t.Helper()
	owner.eventually(within, owner.name+" alone owns the VIP, and the client is served there", func() (bool, string) {
		owners, err := p.Owners()
		if err != nil {
			p.t.Fatal(err)
		}
		if !slices.Equal(owners, []string{owner.name}) {
			return false, fmt.Sprintf("owners %v", owners)
		}
		if _, err := p.get("/"); err != nil {
			return false, fmt.Sprintf("owners %v, client: %v", owners, err)
		}
		mac, err1 := owner.host.MAC()
		believed, err2 := p.Lab.Host(failover.Client).Neighbor(failover.VIP().Addr())
		if err := errors.Join(err1, err2); err != nil {
			p.t.Fatal(err)
		}
		return bytes.Equal(mac, believed), fmt.Sprintf("owners %v, the client believes %v, which is %v", owners, believed, mac)
	})
}

// get asks the VIP once, over a new connection from the client.
func (p *pair) get(path string) (*http.Response, error) {
	client := http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{DialContext: p.Lab.Host(failover.Client).DialContext, DisableKeepAlives: true},
	}
	resp, err := client.Get("http://" + failover.VIP().Addr().String() + path)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp, fmt.Errorf("status %s", resp.Status)
	}
	return resp, nil
}

// vipPort is the address that the client asks.
func vipPort() string { return netip.AddrPortFrom(failover.VIP().Addr(), 80).String() }
