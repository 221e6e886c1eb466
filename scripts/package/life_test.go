package packages

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
)

// none is how many requests, beside those that were slow, may fail around what is to
// cost none: one machine is both nodes, the servers and the client, and may be so busy
// that a packet is lost.
const none = 2

// dead is how many requests may fail until the other node serves after a death: the
// timers of the election take 400 ms, and a busy machine its time.
const dead = int(3 * time.Second / pace)

// checkReload has the node take another config, and refuse one.
func checkReload(t *testing.T, p *pair) {
	t.Helper()
	lb1 := p.nodes[0]
	lb1.put("/etc/tandem/tandem.yaml", config+"  wrong: 1\n", 0o644)
	if said, err := lb1.try("systemctl", "reload", "tandem"); err == nil {
		t.Errorf("a wrong config is taken: %s", said)
	}
	// A VIP with its own MAC address needs what the unit takes from other services.
	virtual := strings.Replace(config, "preempt", "virtual_mac: true, preempt", 1)
	for _, n := range p.nodes {
		n.put("/etc/tandem/tandem.yaml", virtual, 0o644)
		n.do("systemctl", "reload", "tandem")
	}
	lb1.until(actWithin, "the interface of the virtual MAC address", func() bool {
		out, _ := lb1.try("ip", "-brief", "address", "show", "type", "macvlan", "up")
		return strings.Contains(out, "10.77.0.100/24")
	})
	for _, n := range p.nodes {
		n.put("/etc/tandem/tandem.yaml", config, 0o644)
		n.do("systemctl", "reload", "tandem")
	}
	if err := p.Flows[0].WaitOwner(t.Context(), failover.LB1); err != nil {
		t.Fatalf("%v\n%s", err, lb1.journal())
	}
	if _, err := p.WaitCalm(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, p.describe())
	}
}

// describe says what can be seen of the pair.
func (p *pair) describe() string {
	var all []string
	for _, n := range p.nodes {
		status, _ := n.try("tandem", "status")
		addresses, _ := n.try("ip", "-brief", "address")
		all = append(all, n.host.Name(), status, addresses, n.journal())
	}
	now := time.Now()
	mac, err := p.Lab.Host(failover.Client).Neighbor(failover.VIP().Addr())
	w := p.Flows[0].Traffic.Window(now.Add(-time.Second), now)
	return strings.Join(append(all, fmt.Sprintf("client: VIP is at %v (%v), failures %v", mac, err, w.Failures)), "\n")
}

// deaths ends the service of lb1 in one way after another.
func (p *pair) deaths(t *testing.T) {
	t.Helper()
	lb1 := p.nodes[0]
	p.event(t, "kill -9 of all processes of the service", failover.LB2, dead, func() {
		lb1.do("systemctl", "kill", "--kill-whom=all", "--signal=KILL", "tandem")
	})
	p.event(t, "systemd starts it again", failover.LB1, none, func() {})
	if n := lb1.property("NRestarts"); n != "1" {
		t.Errorf("started again %s times, want once", n)
	}

	p.event(t, "systemctl stop", failover.LB2, none, func() { lb1.do("systemctl", "stop", "tandem") })
	p.event(t, "systemctl start", failover.LB1, none, func() { lb1.do("systemctl", "start", "tandem") })
	p.event(t, "systemctl restart", failover.LB1, none, func() { lb1.do("systemctl", "restart", "tandem") })

	finished := p.slowRequest(t)
	p.event(t, "kill -9 of the supervisor alone", failover.LB2, dead, func() {
		lb1.do("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "tandem")
	})
	if err := <-finished; err != nil {
		t.Errorf("a request that was under way: %v", err)
	}
	p.event(t, "systemd starts it again", failover.LB1, none, func() {})

	// 10 seconds in the unit, which the test need not wait for.
	lb1.do("mkdir", "-p", "/etc/systemd/system/tandem.service.d")
	lb1.put("/etc/systemd/system/tandem.service.d/test.conf", "[Service]\nWatchdogSec=2\n", 0o644)
	lb1.do("systemctl", "daemon-reload")
	p.event(t, "systemctl restart, with a watchdog of 2 s", failover.LB1, none, func() { lb1.do("systemctl", "restart", "tandem") })
	was := lb1.property("MainPID")
	p.event(t, "the supervisor hangs, and the watchdog ends it", failover.LB1, dead, func() {
		lb1.do("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "tandem")
		lb1.until(actWithin, "the watchdog", func() bool { now := lb1.property("MainPID"); return now != was && now != "0" })
	})
	if said, err := lb1.try("journalctl", "--unit=tandem", "--grep=Watchdog timeout"); err != nil {
		t.Errorf("the watchdog is not what ended it: %v\n%s", err, said)
	}
}

// slowRequest begins a request to lb1 itself, whose response takes a while, and returns
// how it ends. (One to the VIP would lose its connection with the address.)
func (p *pair) slowRequest(t *testing.T) <-chan error {
	t.Helper()
	const size = 20
	address := "10.77.0.11:8081"
	ln, err := p.Lab.Host("s1").Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		ticks := time.NewTicker(100 * time.Millisecond)
		defer ticks.Stop()
		for range size {
			<-ticks.C
			_, _ = io.WriteString(w, "x") // to a client that may have gone
			_ = http.NewResponseController(w).Flush()
		}
	})}
	go func() { _ = server.Serve(ln) }() // until the lab is closed, or Close
	t.Cleanup(func() { server.Close() })

	lb1 := p.nodes[0]
	slow := "  slow: {bind: \":81\", protocol: http, servers: [\"" + address + "\"]}\n"
	lb1.put("/etc/tandem/tandem.yaml", config+slow, 0o644)
	lb1.do("systemctl", "reload", "tandem")
	conn, err := p.Lab.Host(failover.Client).DialContext(t.Context(), "tcp", "10.77.0.1:81")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /slow HTTP/1.1\r\nHost: slow\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	finished := make(chan error, 1)
	go func(conn net.Conn) {
		defer conn.Close()
		_, err := io.Copy(io.Discard, resp.Body)
		finished <- err
	}(conn)
	return finished
}

// upgrades installs the newer version on the node that is active.
func (p *pair) upgrades(t *testing.T, old, newer string) {
	t.Helper()
	lb1 := p.nodes[0]
	edited := "# edited\n" + config
	lb1.put("/etc/tandem/tandem.yaml", edited, 0o644)
	var said string
	p.event(t, "upgrade of the package", failover.LB1, none, func() { said = lb1.install(newer) })
	if got := lb1.do("tandem", "status"); !strings.Contains(got, "version "+after) {
		t.Errorf("after the upgrade:\n%s\n%s", got, said)
	}
	if got := lb1.do("cat", "/etc/tandem/tandem.yaml"); got != strings.TrimSpace(edited) {
		t.Errorf("the config is now %s", got)
	}

	lb1.put("/etc/tandem/tandem.yaml", config+"  wrong: 1\n", 0o644)
	was := lb1.property("MainPID")
	p.event(t, "install of a version that refuses the config", failover.LB1, none, func() { said = lb1.install(old) })
	if now := lb1.property("MainPID"); now != was || !strings.Contains(said, "NOT restarted") {
		t.Errorf("process %s, was %s\n%s", now, was, said)
	}
	lb1.put("/etc/tandem/tandem.yaml", config, 0o644)
	p.event(t, "systemctl restart", failover.LB1, none, func() { lb1.do("systemctl", "restart", "tandem") })
}

// powerCuts turns lb1 off, and on again.
func (p *pair) powerCuts(t *testing.T) {
	t.Helper()
	lb1 := p.nodes[0]
	p.event(t, "systemctl poweroff", failover.LB2, none, func() {
		lb1.do("systemctl", "poweroff")
		lb1.off()
	})
	p.event(t, "the host boots", failover.LB1, none, lb1.boot)
	p.event(t, "power cut", failover.LB2, dead, func() {
		if err := lb1.host.Cut(); err != nil {
			t.Fatal(err)
		}
		lb1.kill()
	})
	p.event(t, "the host boots", failover.LB1, none, func() {
		if err := lb1.host.Heal(); err != nil {
			t.Fatal(err)
		}
		lb1.boot()
	})
}

// restless are the directories where a host writes by itself.
var restless = []string{
	"dev", "proc", "sys", "run", "tmp", "var/tmp", "var/log", "var/cache", "var/lib/dpkg", "var/lib/systemd", "root",
	"etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
}

// files are what is in the node's file system, but for what changes by itself.
func (n *node) files() []string {
	n.t.Helper()
	var all []string
	err := filepath.WalkDir(n.root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(n.root, path)
		switch {
		case err != nil && os.IsNotExist(err): // gone meanwhile
			return nil
		case err != nil:
			return err
		case slices.Contains(restless, name) && d.IsDir():
			return filepath.SkipDir
		case !slices.Contains(restless, name):
			all = append(all, name)
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return all
}

// leftNothing checks that what was installed is gone.
func (n *node) leftNothing(clean []string) {
	n.t.Helper()
	for _, f := range n.files() {
		if !slices.Contains(clean, f) {
			n.t.Errorf("%s is left", f)
		}
	}
	if user, err := n.try("getent", "passwd", "tandem"); err == nil {
		n.t.Errorf("the user is left: %s", user)
	}
	if n.exists("/var/lib/systemd/deb-systemd-helper-enabled/tandem.service.dsh-also") {
		n.t.Error("the state of its service is left")
	}
	for _, d := range []string{"/run/tandem", "/var/lib/tandem"} {
		if out, err := n.try("ls", "-d", d); err == nil {
			n.t.Errorf("%s is left", out)
		}
	}
	if out, _ := n.try("systemctl", "list-units", "--all", "--no-legend", "tandem*"); out != "" {
		n.t.Errorf("systemd knows of %s", out)
	}
	if out, _ := n.try("ip", "-brief", "address"); strings.Contains(out, "10.77.0.100") {
		n.t.Errorf("the address is left:\n%s", out)
	}
}
