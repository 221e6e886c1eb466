package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

func vipPrefix() netip.Prefix { return failover.VIP() }

// pairConfig is the config of the scene with more keys for the VIP.
func pairConfig(vip string) string {
	return strings.Replace(failover.Config(100*time.Millisecond), "advertise:", vip+", advertise:", 1)
}

// quickConfig is the config of the scene for tests that wait for lb1 to return.
func quickConfig() string { return pairConfig("preempt: 300ms") }

func TestEachNodeShowsBoth(t *testing.T) {
	key := filepath.Join(t.TempDir(), "cluster.key")
	if err := os.WriteFile(key, []byte(peer.NewKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startPair(t, quickConfig()+"cluster: {key_file: "+key+"}\n")
	for _, tc := range []struct {
		at   *node
		peer string
		role vrrp.Role
	}{{p.lb1, lb2, vrrp.Backup}, {p.lb2, lb1, vrrp.Active}} {
		tc.at.waitStatus("knows its peer", func(s *admin.Status) bool {
			v := s.Peers[0]
			return v.Name == tc.peer && v.Alive && v.Fit && !v.Drift && v.Roles["main"] == tc.role && v.Hash == s.Config.Hash
		})
		out, err := tc.at.ask("status")
		if err != nil || !strings.Contains(out, tc.peer+"  alive") || !strings.Contains(out, "main: "+tc.role.String()) {
			t.Errorf("status: %v\n%s", err, out)
		}
	}

	t.Log("# another config on one node: both run, both say so")
	p.lb2.write(quickConfig() + "cluster: {key_file: " + key + "}\nlog: {level: debug}\n")
	if out, err := p.lb2.ask("reload"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, n := range []*node{p.lb1, p.lb2} {
		n.waitStatus("shows drift", func(s *admin.Status) bool { return s.Peers[0].Drift })
		if out, err := n.ask("status"); err != nil || !strings.Contains(out, "CONFIG DRIFT") {
			t.Errorf("status: %v\n%s", err, out)
		}
	}
	p.expectOwner(p.lb1, patience)

	t.Log("# the worker's death is known to the peer")
	p.lb1.signal("worker", syscall.SIGSTOP)
	p.lb2.waitStatus("sees lb1 unfit", func(s *admin.Status) bool { return !s.Peers[0].Fit && s.Peers[0].Unfit != "" })
}

func TestReloadGoodAndBad(t *testing.T) {
	p := newPair(t)
	good := quickConfig()
	since := p.lb1.waitStatus("is there", func(*admin.Status) bool { return true }).VIPs[0].Since

	t.Log("# a connection that is open must not notice any of this")
	idle, err := p.Lab.Host(failover.Client).DialContext(t.Context(), "tcp", vipPort())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	answers := bufio.NewReader(idle)
	ask := func() error {
		fmt.Fprintf(idle, "GET / HTTP/1.1\r\nHost: vip\r\n\r\n")
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}

	for name, bad := range map[string]string{
		"syntax":      good + "  :\n",
		"unknown key": good + "listenerz: {}\n",
		"port in use": good + fmt.Sprintf("  more: {bind: \"%s:7946\", servers: [10.77.0.11:80]}\n", "10.77.0.1"),
		"nodes":       strings.Replace(good, "10.77.0.2", "10.77.0.9", 1),
	} {
		p.lb1.write(bad)
		out, err := p.lb1.ask("reload")
		if err == nil {
			t.Errorf("%s: it was accepted: %s", name, out)
		}
		s := p.lb1.waitStatus("shows the refusal", func(s *admin.Status) bool { return s.Config.Refused != "" })
		if len(s.Listeners) != 1 || !s.Fit {
			t.Errorf("%s: it changed something: %+v", name, s.Listeners)
		}
		if err := ask(); err != nil {
			t.Errorf("%s: the open connection: %v", name, err)
		}
	}

	t.Log("# a good one, by signal: one server less, one listener more")
	better := strings.Replace(good, `"10.77.0.11:80", `, "", 1) + "  extra: {bind: \":81\", protocol: tcp, servers: [10.77.0.12:80], check: tcp}\n"
	better = strings.Replace(better, `["10.77.0.11:80", `, `[`, 1)
	p.lb1.write(better)
	if err := p.lb1.proc.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s := p.lb1.waitStatus("has the new config", func(s *admin.Status) bool {
		return s.Config.Refused == "" && len(s.Listeners) == 2 && len(s.Pools) == 2 && serversUp(s)
	})
	if !s.VIPs[0].Since.Equal(since) || s.Worker.Restarts != 0 {
		t.Errorf("the reload touched the VIP (since %v, before %v) or the worker (%d restarts)", s.VIPs[0].Since, since, s.Worker.Restarts)
	}
	if err := ask(); err != nil {
		t.Errorf("the open connection: %v", err)
	}
	if _, err := p.Lab.Host(failover.Client).DialContext(t.Context(), "tcp", netip.AddrPortFrom(vipPrefix().Addr(), 81).String()); err != nil {
		t.Errorf("the new listener: %v", err)
	}

	t.Log("# and back: the port is closed again")
	p.lb1.write(good)
	if out, err := p.lb1.ask("reload"); err != nil || !strings.Contains(out, "reloaded") {
		t.Fatalf("%v: %s", err, out)
	}
	p.lb1.eventually(patience, "port 81 is closed", func() (bool, string) {
		c, err := p.Lab.Host(failover.Client).DialContext(t.Context(), "tcp", netip.AddrPortFrom(vipPrefix().Addr(), 81).String())
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED), fmt.Sprint(err)
	})
}

func TestStartThatCannotSucceedSaysWhy(t *testing.T) {
	s := scene(t)
	taken, err := s.Lab.Host(lb1).Listen("tcp", "0.0.0.0:80")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	config := failover.Config(100 * time.Millisecond)
	for name, tc := range map[string]struct {
		config string
		args   []string
		want   []string
	}{
		"port in use":       {config, nil, []string{`listener "web": listen on :80: address already in use`, "ss -ltnp"}},
		"no local node":     {strings.NewReplacer("10.77.0.1,", "10.77.0.7,", "10.77.0.2}", "10.77.0.8}").Replace(config), nil, []string{"10.77.0.1", "lb1", "--node"}},
		"unknown node":      {config, []string{"--node", "lb3"}, []string{"lb3", "lb1", "lb2"}},
		"bad config":        {config + "x: 1\ny: 2\n", nil, []string{`unknown key "x"`, `unknown key "y"`}},
		"no such interface": {pairConfigOn("eth7"), nil, []string{`vip "main": this host has no interface "eth7"`}},
		"no key file":       {strings.Replace(config, ":80\", servers", ":81\", servers", 1) + "cluster: {key_file: /nowhere/key}\n", nil, []string{"/nowhere/key", "tandem keygen"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, s, lb1, tc.config)
			cmd := n.command(append([]string{"run", "-c", n.config, "--socket", n.socket}, tc.args...)...)
			proc, err := n.host.Start(cmd)
			if err != nil {
				t.Fatal(err)
			}
			select {
			case <-proc.Done():
			case <-time.After(patience):
				t.Fatal("it runs")
			}
			if proc.Err() == nil {
				t.Error("exit status 0")
			}
			text, err := os.ReadFile(n.log)
			if err != nil {
				t.Fatal(err)
			}
			var line struct{ Msg, Error string }
			if err := json.Unmarshal(text, &line); err != nil || line.Msg != "the node does not run" {
				t.Errorf("%v: %s", err, text)
			}
			for _, part := range tc.want {
				if !strings.Contains(line.Error, part) {
					t.Errorf("%q is missing in:\n%s", part, line.Error)
				}
			}
		})
	}
}

func pairConfigOn(ifname string) string {
	return pairConfig("interface: " + ifname)
}

func TestMissingCapabilityIsNamedAtStart(t *testing.T) {
	s := scene(t)
	n := newNode(t, s, lb1, failover.Config(100*time.Millisecond))
	cmd := n.command("run", "-c", n.config, "--socket", n.socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	openPath(t, n.dir)
	proc, err := n.host.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	<-proc.Done()
	text, err := os.ReadFile(n.log)
	if err != nil {
		t.Fatal(err)
	}
	if proc.Err() == nil || !strings.Contains(string(text), "CAP_NET_ADMIN") || !strings.Contains(string(text), "CAP_NET_RAW") {
		t.Errorf("exit %v:\n%s", proc.Err(), text)
	}
}

// openPath lets every user read dir and what leads to it.
func openPath(t *testing.T, dir string) {
	t.Helper()
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPlainProxyNeedsNoPrivilege(t *testing.T) {
	s := scene(t)
	n := newNode(t, s, lb1, `listeners: {web: {bind: "10.77.0.1:8080", servers: ["10.77.0.11:80", "10.77.0.12:80"], check: GET /}}`)
	cmd := n.command("run", "-c", n.config, "--socket", n.socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	openPath(t, n.dir)
	var err error
	if n.proc, err = n.host.Start(cmd); err != nil {
		t.Fatal(err)
	}
	st := n.waitStatus("serves", func(s *admin.Status) bool { return s.Fit && serversUp(s) })
	if st.Agent != nil || len(st.VIPs) != 0 || len(st.Peers) != 0 {
		t.Errorf("a plain proxy has %+v %+v %+v", st.Agent, st.VIPs, st.Peers)
	}
	client := http.Client{Transport: &http.Transport{DialContext: s.Lab.Host(failover.Client).DialContext}}
	seen := map[string]bool{}
	for range 4 {
		resp, err := client.Get("http://10.77.0.1:8080/")
		if err != nil {
			t.Fatal(err)
		}
		name, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		seen[string(name)] = true
	}
	if len(seen) != 2 {
		t.Errorf("answers came from %v", seen)
	}
	if err := n.proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := n.proc.Err(); err != nil {
		t.Errorf("exit: %v", err)
	}
}

func TestExampleBalancesWithoutPrivilege(t *testing.T) {
	s := scene(t)
	n := newNode(t, s, lb1, "")
	cmd := n.command("run", "--example", "--socket", n.socket)
	cmd.Env = append(cmd.Env, "TMPDIR="+n.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	openPath(t, n.dir)
	var err error
	if n.proc, err = n.host.Start(cmd); err != nil {
		t.Fatal(err)
	}
	n.waitStatus("serves", func(s *admin.Status) bool { return s.Fit && serversUp(s) })
	client := http.Client{Transport: &http.Transport{DialContext: n.host.DialContext}}
	var answers []string
	for range 4 {
		resp, err := client.Get("http://127.0.0.1:8080/x")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, string(text))
	}
	slices.Sort(answers)
	want := []string{"Hello from server one: GET /x\n", "Hello from server one: GET /x\n", "Hello from server two: GET /x\n", "Hello from server two: GET /x\n"}
	if !slices.Equal(answers, want) {
		t.Errorf("answers %q", answers)
	}
	if err := n.proc.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := n.proc.Err(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(n.dir, "tandem-example-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestServiceManagerIsTold plays systemd: what arrives on NOTIFY_SOCKET, in order.
func TestServiceManagerIsTold(t *testing.T) {
	s := scene(t)
	n := newNode(t, s, lb1, `listeners: {web: {bind: "127.0.0.1:8080", servers: ["10.77.0.11:80"]}}`)
	path := filepath.Join(n.dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	manager.SetReadDeadline(time.Now().Add(patience))
	// expect reads until a message begins with prefix; only what is said at any time may
	// come before.
	expect := func(prefix string) string {
		t.Helper()
		buf := make([]byte, 1024)
		for {
			size, err := manager.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %s: %v", prefix, err)
			}
			text := string(buf[:size])
			if strings.HasPrefix(text, prefix) {
				return text
			}
			if !strings.HasPrefix(text, "WATCHDOG=1") && !strings.HasPrefix(text, "STATUS=") {
				t.Fatalf("got %q, want %s", text, prefix)
			}
		}
	}
	cmd := n.command("run", "-c", n.config, "--socket", n.socket)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=300000")
	if n.proc, err = n.host.Start(cmd); err != nil {
		t.Fatal(err)
	}
	expect("READY=1")
	expect("WATCHDOG=1")
	if err := n.proc.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if text := expect("RELOADING=1"); !strings.Contains(text, "MONOTONIC_USEC=") {
		t.Errorf("reload said %q", text)
	}
	expect("READY=1")
	if err := n.proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expect("STOPPING=1")
	if err := n.proc.Err(); err != nil {
		t.Errorf("exit: %v", err)
	}
}

func TestWorkerHasNoPrivilege(t *testing.T) {
	p := newPair(t)
	for child, check := range map[string]func(status string) bool{
		"worker": func(s string) bool {
			return strings.Contains(s, "CapEff:\t0000000000000000") && strings.Contains(s, "CapPrm:\t0000000000000000") && !strings.Contains(s, "Uid:\t0\t")
		},
		"agent": func(s string) bool { return !strings.Contains(s, "CapEff:\t0000000000000000") },
	} {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.lb1.children()[child]))
		if err != nil {
			t.Fatal(err)
		}
		if !check(string(status)) {
			t.Errorf("%s:\n%s", child, status)
		}
	}
	agent := p.lb1.children()["agent"]
	attr, err := unix.SchedGetAttr(agent, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := p.lb1.waitStatus("has reported", func(s *admin.Status) bool { return s.Agent.Realtime != "" })
	if (s.Agent.Realtime == "yes") != (attr.Policy == unix.SCHED_RR) {
		t.Errorf("status says %q, the kernel says policy %d", s.Agent.Realtime, attr.Policy)
	}
}

func TestMalformedTrafficIsCountedAndChangesNothing(t *testing.T) {
	p := newPair(t)
	before := p.lb2.waitStatus("hears lb1", func(s *admin.Status) bool { return s.VIPs[0].Counters.Received > 5 })

	t.Log("# VRRP from the client's host: garbage, a foreign VRID, a wrong TTL, a foreign version")
	adverts := [][]byte{
		{},
		[]byte("garbage"),
		advert(t, 51, 3, func([]byte) {}),
		advert(t, 100, 3, func(b []byte) { b[0] = 0x51 }),
		advert(t, 100, 3, func(b []byte) { b[6] ^= 0xff }),
	}
	client := p.Lab.Host(failover.Client)
	for _, ttl := range []int{255, 1} {
		for _, a := range adverts {
			if err := client.Do(func() error { return sendVRRP(a, ttl) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := client.Do(func() error { return sendVRRP(advert(t, 100, 3, func([]byte) {}), 1) }); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{p.lb1, p.lb2} {
		n.waitStatus("has counted them", func(s *admin.Status) bool {
			d := s.VIPs[0].Counters.Dropped
			return d[vrrp.DropTTL] > 0 && d[vrrp.DropVersion] > 0 && d[vrrp.DropChecksum] > 0 && s.Agent.Dropped[vrrp.DropVRID] > 0
		})
	}
	after := p.lb2.waitStatus("is there", func(*admin.Status) bool { return true })
	if !after.VIPs[0].Since.Equal(before.VIPs[0].Since) {
		t.Errorf("lb2 changed its role: %+v", after.VIPs[0])
	}

	t.Log("# HTTP")
	for name, request := range map[string]string{
		"not HTTP":                             "hello\r\n\r\n",
		"a bad name":                           "GET / HTTP/1.1\r\nHost: a\r\nb ad: 1\r\n\r\n",
		"no host":                              "GET / HTTP/1.1\r\n\r\n",
		"a bad length":                         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
		"length and chunked, twice the length": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	} {
		c, err := client.DialContext(t.Context(), "tcp", vipPort())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(c, request)
		r := bufio.NewReader(c)
		line, err := r.ReadString('\n')
		if err != nil || !strings.Contains(line, " 400 ") {
			t.Errorf("%s: answered %q, %v", name, line, err)
		}
		for err == nil {
			_, err = r.ReadString('\n')
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: the connection stays open", name)
		}
		c.Close()
	}
	p.expectOwner(p.lb1, patience)
}

// advert is an advertisement of the client's address, changed by mutate.
func advert(t *testing.T, vrid, version uint8, mutate func([]byte)) []byte {
	t.Helper()
	a := vrrp.Advert{Version: version, VRID: vrid, Priority: 254, Interval: 100 * time.Millisecond, Addresses: []netip.Addr{vipPrefix().Addr()}}
	b, err := a.Append(nil, vrrp.Header{Source: netip.MustParseAddr("10.77.0.50"), Destination: netip.MustParseAddr("224.0.0.18")}, vrrp.PseudoHeader)
	if err != nil {
		t.Fatal(err)
	}
	mutate(b)
	return b
}

// sendVRRP sends a VRRP message to the group from the namespace it is called in.
func sendVRRP(payload []byte, ttl int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 112)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, ttl); err != nil {
		return err
	}
	out := &unix.IPMreqn{Address: [4]byte{10, 77, 0, 50}}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, out); err != nil {
		return err
	}
	return unix.Sendto(fd, payload, 0, &unix.SockaddrInet4{Addr: [4]byte{224, 0, 0, 18}})
}
