// Package packages tests what scripts/package builds, where it is to run: on hosts
// with systemd.
package packages

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/probe"
)

// TestMain runs the test binary as the prober when the scene starts it so.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "prober" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		_ = probe.Prioritize() // where this is not permitted, the measurement is less exact
		prober := probe.Prober{Target: netip.AddrPortFrom(netip.MustParseAddr(os.Args[2]), 80), Every: pace}
		if err := prober.Run(ctx, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(test(m))
}

// shared is the directory of what is built for all tests.
var shared string

func test(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tandem-packages-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared = dir
	return m.Run()
}

// pace is the time between two requests of the client: one machine is all hosts.
const pace = 5 * time.Millisecond

// The versions that are built, the newer one last.
const before, after = "1.0.0", "1.0.1"

// worst is the exposure beyond which the unit has been loosened (systemd-analyze
// security; 10 is a service without any protection).
const worst = 2.9

const config = `nodes: {lb1: 10.77.0.1, lb2: 10.77.0.2}
cluster: {key_file: /etc/tandem/cluster.key}
vips: {main: {addresses: 10.77.0.100/24, preempt: 500ms}}
log: {access: false}
listeners:
  web: {bind: ":80", protocol: http, servers: [10.77.0.11:80, 10.77.0.12:80, 10.77.0.13:80], check: GET /}
`

// key is as good as another that is known to all.
var key = base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"

// built are the files that scripts/package/build makes of a version, once.
func built(t *testing.T, version string) (dist string) {
	t.Helper()
	dist = filepath.Join(shared, version)
	if _, err := os.Stat(dist); err == nil {
		return dist
	}
	cmd := exec.CommandContext(t.Context(), "./build")
	cmd.Env = append(os.Environ(), "VERSION="+version, "DIST="+dist, "ARCHES="+goarch(t))
	if out, err := cmd.CombinedOutput(); err != nil {
		os.RemoveAll(dist)
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dist
}

func goarch(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOHOSTARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// one is the only file of a pattern.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	return found[0]
}

// rootfs is the file system over which the nodes have theirs.
func rootfs(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "containers need root")
	}
	for _, tool := range []string{"systemd-nspawn", "mmdebstrap", "nsenter", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, err.Error())
		}
	}
	cmd := exec.CommandContext(t.Context(), "./rootfs")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		missing(t, fmt.Sprintf("make a Debian: %v", err))
	}
	return strings.TrimSpace(string(out))
}

// pair is two nodes with systemd, in a scene whose client asks for the VIP.
type pair struct {
	*failover.Scene
	nodes [2]*node
}

func newPair(t *testing.T, base string) *pair {
	t.Helper()
	s, err := failover.NewScene(failover.Spec{})
	if errors.Is(err, lab.ErrNotPermitted) {
		missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &pair{Scene: s}
	for i, name := range []string{failover.LB1, failover.LB2} {
		p.nodes[i] = newNode(t, s.Lab.Host(name), base)
		p.nodes[i].boot()
	}
	return p
}

// event happens, and heir serves afterwards; at most allowed requests fail.
func (p *pair) event(t *testing.T, name, heir string, allowed int, do func()) {
	t.Helper()
	outcomes, err := p.Measure(t.Context(), failover.Event{
		Name: name, Heirs: []string{heir}, AloneWithin: 10 * time.Second,
		Do: func() error { do(); return nil },
	})
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, p.describe())
	}
	o := outcomes[0]
	t.Logf("%-44s %s  %4d ms without an answer, %d of %d failed", name, o.Handover(), o.Window.Outage.Milliseconds(), o.Window.Failed, o.Window.Requests)
	// An answer that comes late is this machine's fault: nobody's death makes a connection
	// that is answered slow.
	if o.Window.Failed-o.Window.Failures[probe.Slow] > allowed {
		t.Errorf("%s: %d requests failed (%v), %v without an answer, want %d at most", name, o.Window.Failed, o.Window.Failures, o.Window.Outage, allowed)
	}
}

// serve starts the service, now and with each boot.
func (n *node) serve() {
	n.t.Helper()
	if said, err := n.try("systemctl", "enable", "--now", "tandem"); err != nil {
		n.t.Fatalf("%s: %v\n%s\n%s", n.host.Name(), err, said, n.journal())
	}
}

// journal is what the service has logged last.
func (n *node) journal() string {
	out, err := n.try("journalctl", "--unit=tandem", "--no-pager", "--lines=40")
	return fmt.Sprintf("%s: %v\n%s", n.host.Name(), err, out)
}

// install installs a package.
func (n *node) install(deb string) string {
	n.t.Helper()
	text, err := os.ReadFile(deb)
	if err != nil {
		n.t.Fatal(err)
	}
	n.put("/root/tandem.deb", string(text), 0o644)
	out := n.do("dpkg", "--force-unsafe-io", "--install", "/root/tandem.deb")
	if err := os.Remove(filepath.Join(n.root, "/root/tandem.deb")); err != nil {
		n.t.Fatal(err)
	}
	return out
}

// TestPackageOnTwoNodes goes through the life of a package on a pair of hosts.
func TestPackageOnTwoNodes(t *testing.T) {
	base := rootfs(t)
	old, dist := one(t, built(t, before)+"/*.deb"), built(t, after)
	newer := one(t, dist+"/*.deb")
	p := newPair(t, base)
	lb1, lb2 := p.nodes[0], p.nodes[1]
	clean := lb1.files()

	for _, n := range p.nodes {
		n.install(old)
		if state, _ := n.try("systemctl", "is-enabled", "tandem"); state != "disabled" {
			t.Errorf("installed, it is %s", state)
		}
	}
	checkInstalled(t, lb1)
	checkExample(t, lb1)

	for _, n := range p.nodes {
		n.put("/etc/tandem/tandem.yaml", config, 0o644)
		n.put("/etc/tandem/cluster.key", key, 0o600)
		n.do("tandem", "check")
		n.serve()
	}
	if err := p.Flows[0].WaitOwner(t.Context(), failover.LB1); err != nil {
		t.Fatalf("%v\n%s", err, lb1.journal())
	}
	if err := p.StartTraffic(func(vip netip.Addr) *exec.Cmd {
		return exec.Command("/proc/self/exe", "prober", vip.String())
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.WaitCalm(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, lb1.journal())
	}
	checkRunning(t, lb1)
	checkReload(t, p)

	p.deaths(t)
	p.upgrades(t, old, newer)
	p.powerCuts(t)

	p.event(t, "purge of the package", failover.LB2, none, func() { lb1.do("dpkg", "--purge", "tandem") })
	lb1.leftNothing(clean)
	if lb2.property("ActiveState") != "active" {
		t.Error("the other node does not run")
	}
	p.installsWithoutPackage(t, one(t, dist+"/*.tar.gz"), clean)
}

// checkInstalled looks at a package that is installed and not started.
func checkInstalled(t *testing.T, n *node) {
	t.Helper()
	if said := n.do("systemd-analyze", "verify", "tandem.service"); said != "" {
		t.Errorf("systemd-analyze verify: %s", said)
	}
	if user := n.do("getent", "passwd", "tandem"); !strings.HasSuffix(user, ":/usr/sbin/nologin") {
		t.Errorf("the user is %s", user)
	}
	for _, page := range []string{"tandem", "tandem.yaml"} {
		if text := n.do("man", page); !strings.Contains(text, "NAME") {
			t.Errorf("man %s: %s", page, text)
		}
	}
	report := n.do("systemd-analyze", "security", "--no-pager", "tandem.service")
	m := regexp.MustCompile(`Overall exposure level for tandem.service: ([0-9.]+)`).FindStringSubmatch(report)
	if m == nil {
		t.Fatalf("systemd-analyze security: %s", report)
	}
	t.Logf("systemd-analyze security: %s", m[1])
	if score, err := strconv.ParseFloat(m[1], 64); err != nil || score > worst {
		t.Errorf("exposure %s, want %v at most\n%s", m[1], worst, report)
	}
}

// checkExample starts a node whose config is still the example.
func checkExample(t *testing.T, n *node) {
	t.Helper()
	if _, err := n.try("systemctl", "enable", "--now", "tandem"); err == nil {
		t.Error("a node without a config starts")
	}
	if state, restarts := n.property("ActiveState"), n.property("NRestarts"); state != "failed" || restarts != "0" {
		t.Errorf("%s, started again %s times; want failed for good", state, restarts)
	}
	if said := n.property("StatusText"); !strings.Contains(said, "/etc/tandem/tandem.yaml:1:1: the file is empty") {
		t.Errorf("the status is %q", said)
	}
}

// checkRunning looks at the processes of a node that serves.
func checkRunning(t *testing.T, n *node) {
	t.Helper()
	if said := n.property("StatusText"); !strings.HasPrefix(said, "active for main (") {
		t.Errorf("the status is %q", said)
	}
	const ours = "00000000008075e0"    // the bounding set of the unit
	const ofAgent = "0000000000807000" // NET_ADMIN, NET_RAW, IPC_LOCK, SYS_NICE
	nothing := strings.Repeat("0", 16)
	worker := n.do("id", "-u", "tandem")
	want := map[string][2]string{"run": {"0", ours}, "agent": {"0", ofAgent}, "worker": {worker, nothing}}
	for _, pid := range strings.Fields(n.do("cat", "/sys/fs/cgroup/"+cgroup(n)+"/cgroup.procs")) {
		command := strings.Split(n.do("cat", "/proc/"+pid+"/cmdline"), "\x00")[1]
		status := n.do("cat", "/proc/"+pid+"/status")
		field := func(name string) string {
			return strings.Fields(regexp.MustCompile(`(?m)^` + name + `:.*`).FindString(status))[1]
		}
		if got := [2]string{field("Uid"), field("CapEff")}; got != want[command] {
			t.Errorf("%s has user and capabilities %v, want %v", command, got, want[command])
		}
		if field("NoNewPrivs") != "1" || field("Seccomp") != "2" {
			t.Errorf("%s: NoNewPrivs %s, Seccomp %s", command, field("NoNewPrivs"), field("Seccomp"))
		}
		delete(want, command)
	}
	if len(want) > 0 {
		t.Errorf("not running: %v", want)
	}
	inside := func(script string) error {
		_, err := n.try("nsenter", "--target", n.property("MainPID"), "--mount", "sh", "-c", script)
		return err
	}
	for _, forbidden := range []string{
		"touch /etc/tandem/x", "touch /usr/x", "touch /var/x", "echo 1 >/proc/sys/kernel/panic", "grep root /etc/shadow", "ls /root/.profile",
	} {
		if inside(forbidden) == nil {
			t.Errorf("the service can: %s", forbidden)
		}
	}
	if err := inside("touch /var/lib/tandem/x /run/tandem/x && rm /var/lib/tandem/x /run/tandem/x"); err != nil {
		t.Errorf("the service cannot write its state: %v", err)
	}
	// A kernel may be without landlock; all else is the unit's to permit.
	lacks, err := n.try("journalctl", "--unit=tandem", "--no-pager", "--output=cat", "--grep=without a part of its sandbox")
	if err == nil && !strings.Contains(lacks, `"missing":["landlock: the kernel does not have it`) {
		t.Errorf("the unit takes something from the worker's sandbox:\n%s", lacks)
	}
	status := n.do("tandem", "status")
	if !strings.Contains(status, "real time: yes, memory locked: yes") {
		t.Errorf("the agent is not all that it is to be:\n%s", status)
	}
}

// cgroup is where the service's control group is, below the mounts of all.
func cgroup(n *node) string {
	path := n.property("ControlGroup")
	for _, h := range []string{"systemd", ""} {
		if _, err := n.try("test", "-e", "/sys/fs/cgroup/"+h+path+"/cgroup.procs"); err == nil {
			return h + path
		}
	}
	n.t.Fatalf("no control group %s", path)
	return ""
}
