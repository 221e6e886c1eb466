package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/doctor"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/netio"
	"github.com/tandemlb/tandem/vrrp"
)

// findings are what doctor says of a host, and how it ends.
type findings struct {
	Worst    doctor.Severity
	Findings []doctor.Finding
	Unknown  []string
	failed   bool
}

// examine runs doctor on the host of n, through wrapper if there is one.
func (n *node) examine(wrapper ...string) findings {
	n.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	args := append(wrapper, self, "doctor", "--json", "-c", n.config, "--socket", n.socket, "--listen", "2s")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	p, err := n.host.Start(cmd)
	if err != nil {
		n.t.Fatal(err)
	}
	failed := p.Err() != nil
	f := findings{failed: failed}
	if err := json.Unmarshal(out.Bytes(), &f); err != nil {
		n.t.Fatalf("%v: %s%s", err, out.Bytes(), said.Bytes())
	}
	if failed != (f.Worst == doctor.Error) {
		n.t.Errorf("the worst is %s, and the exit status says failed %v", f.Worst, failed)
	}
	return f
}

// has reports whether something was found of a check that has that text.
func (f findings) has(check string, severity doctor.Severity, text string) bool {
	for _, x := range f.Findings {
		if x.Check == check && x.Severity == severity && strings.Contains(x.Found, text) {
			return true
		}
	}
	return false
}

// speak advertises a virtual router from a host until the test ends.
func speak(t *testing.T, host *lab.Host, from netip.Addr, a vrrp.Advert) {
	t.Helper()
	group := netip.MustParseAddr("224.0.0.18")
	payload, err := a.Append(nil, vrrp.Header{Source: from, Destination: group}, vrrp.ChecksumForm(0))
	if err != nil {
		t.Fatal(err)
	}
	var conn *netio.VRRPConn
	if err := host.Do(func() (err error) {
		conn, err = netio.OpenVRRP(netio.VRRPOptions{Interface: "eth0", Self: from})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = conn.Send(payload, group) // while the lab is taken down it may fail
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		conn.Close()
	})
}

// A host on which nothing runs yet: what is planted is found, and nothing else of that
// kind.
func TestDoctorBeforeANodeStarts(t *testing.T) {
	t.Parallel()
	s := scene(t)
	n := newNode(t, s, lb1, quickConfig())
	vip := failover.VIP().Addr()

	before := n.examine()
	for _, check := range []string{"config", "capabilities", "ports", "interface", "address", "duplicate address", "VRRP"} {
		if !before.has(check, doctor.OK, "") {
			t.Errorf("%s is not in order: %+v", check, before.Findings)
		}
	}
	if before.Worst == doctor.Error || len(before.Unknown) > 0 {
		t.Errorf("the worst is %s, unknown %v: %+v", before.Worst, before.Unknown, before.Findings)
	}

	spec := failover.Servers()[0]
	foreign := s.Lab.Host(spec.Name)
	from := spec.Addresses[0].Addr()
	speak(t, foreign, from, vrrp.Advert{Version: 3, VRID: vip.As4()[3], Priority: 77, Interval: 100 * time.Millisecond, Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.200")}})
	rival := s.Lab.Host(failover.Servers()[1].Name)
	if err := rival.AddAddress(failover.VIP()); err != nil {
		t.Fatal(err)
	}
	mac, err := rival.MAC()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := n.host.Listen("tcp", "0.0.0.0:80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	after := n.examine()
	if !after.has("VRRP", doctor.Error, from.String()+" on eth0, which is none of the nodes, advertises virtual router 100 with priority 77") {
		t.Errorf("the foreign router is not found: %+v", after.Findings)
	}
	if !after.has("duplicate address", doctor.Error, mac.String()+", which is none of the nodes, answers for "+vip.String()) {
		t.Errorf("the other host with the address is not found: %+v", after.Findings)
	}
	if !after.has("ports", doctor.Error, "listener web: tcp [::]:80 is in use by ") {
		t.Errorf("the port in use is not found: %+v", after.Findings)
	}
	if !after.failed {
		t.Error("it ends as if all were well")
	}

	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip(err)
	}
	without := n.examine(setpriv, "--bounding-set=-net_raw", "--inh-caps=-net_raw")
	if !without.has("capabilities", doctor.Error, "lacks NET_RAW") || len(without.Unknown) == 0 || without.has("duplicate address", doctor.OK, "") {
		t.Errorf("the missing capability is not found: %+v, unknown %v", without.Findings, without.Unknown)
	}
}

// Beside a pair that runs: the peer is no foreign router, its answer for the VIP no
// conflict, and the ports in use are the node's own.
func TestDoctorBesideANode(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for _, n := range []*node{p.lb1, p.lb2} {
		f := n.examine()
		for _, check := range []string{"node", "capabilities", "interface", "address", "duplicate address", "VRRP", "peer"} {
			if !f.has(check, doctor.OK, "") {
				t.Errorf("%s: %s is not in order: %+v", n.name, check, f.Findings)
			}
		}
		if f.Worst == doctor.Error || len(f.Unknown) > 0 {
			t.Errorf("%s: unknown %v, %+v", n.name, f.Unknown, f.Findings)
		}
	}
	out, err := p.lb1.ask("doctor", "-c", p.lb1.config, "--listen", "0")
	if !strings.Contains(out, "a node runs here") || !strings.Contains(out, "in order: ") {
		t.Errorf("%v\n%s", err, out)
	}
}
