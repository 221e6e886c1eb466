package container

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/labtest"
)

// tooLong is longer than any takeover takes, on a machine however busy.
const tooLong = 10 * time.Second

func TestContainers(t *testing.T) {
	e := newEngine(t)
	t.Run("image", func(t *testing.T) { testImage(t, e) })
	t.Run("pair of compose.yaml on a bridge", func(t *testing.T) { testBridge(t, e) })
	t.Run("pair on the hosts' networks", func(t *testing.T) { testHostNetwork(t, e) })
}

// testImage looks at what is in the image, and needs no network.
func testImage(t *testing.T, e *engine) {
	got := e.run(nil, "image", "inspect", image)
	contains(t, got, `"org.opencontainers.image.version": "container-test"`, `"SIGTERM"`, `"/run/tandem"`, `"/var/lib/tandem"`, `"tandem",`)
	size, err := strconv.Atoi(e.run(nil, "image", "inspect", "--format", "{{.Size}}", image))
	if err != nil || size > 40<<20 {
		t.Errorf("the image has %d bytes, %v", size, err)
	}
	t.Logf("the image has %.1f MB", float64(size)/1e6)
	if got := e.run(nil, "run", "--rm", "--network", "none", "--cap-drop", "ALL", image, "version"); !strings.Contains(got, "container-test") {
		t.Errorf("version %q", got)
	}
}

func testBridge(t *testing.T, e *engine) {
	p := e.compose(t, labtest.New(t, labtest.Host("machine", "10.78.0.1/24")).Host("machine"))
	p.checkProcesses()
	p.run(nil, "healthcheck", "run", "lb1")
	p.run(nil, "healthcheck", "run", "lb2")

	if w := p.measure("kill -9 of the container", "lb2", p.podman("kill", "--signal", "KILL", "lb1")); w.Outage > tooLong {
		t.Errorf("no answer for %v", w.Outage)
	}
	t.Logf("lb2: %s", p.expectRole("lb2", "active").VIPs[0].Reason)
	p.measure("it starts, and takes over", "lb1", func() error { return p.start("lb1") })
	p.returns()

	if w := p.measure("podman stop", "lb2", p.podman("stop", "lb1")); w.Outage > tooLong {
		t.Errorf("no answer for %v", w.Outage)
	}
	if got := p.run(nil, "inspect", "--format", "{{.State.ExitCode}}", "lb1"); got != "0" {
		t.Errorf("stopped with status %s", got)
	}
	p.measure("it starts, and takes over", "lb1", func() error { return p.start("lb1") })
	p.returns()

	p.pause()
	eventually(t, "the client of the compose file prints the outage", func() (bool, string) {
		log := p.log("client")
		return strings.Contains(log, "no answer for"), log
	})
	p.disconnect()
	p.rename("eth0", "eth1")
	p.rename("eth1", "eth0")
}

// rename gives the interface of lb1 another name, as Docker does when a container is
// connected again.
func (p *pair) rename(from, to string) {
	p.t.Helper()
	err := p.inside("lb1", func(h *netlink.Handle) error {
		link, err := h.LinkByName(from)
		if err != nil {
			return err
		}
		return errors.Join(h.LinkSetDown(link), h.LinkSetName(link, to), h.LinkSetUp(link))
	})
	if err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "lb1 is active on "+to, func() (bool, string) {
		s, err := p.status("lb1")
		if err != nil {
			return false, err.Error()
		}
		v := s.VIPs[0]
		return v.Interface == to && v.Holds, fmt.Sprintf("%+v", v)
	})
	p.expectOwner("lb1")
}

// pause freezes lb1 for longer than its lease, and then thaws it.
func (p *pair) pause() {
	p.t.Helper()
	if w := p.measure("podman pause", "lb2", p.podman("pause", "lb1")); w.Outage > tooLong {
		p.t.Errorf("no answer for %v", w.Outage)
	}
	p.expectOwner("lb2") // the kernel takes the address from the frozen container
	if err := p.podman("unpause", "lb1")(); err != nil {
		p.t.Fatal(err)
	}
	awake := time.Now()
	for {
		owners, believed := p.owners()
		s, err := p.status("lb1")
		if err == nil && s.Agent.Slept != nil && s.VIPs[0].Role.String() == "backup" {
			if k := s.VIPs[0].Conflict; k != nil {
				p.t.Errorf("lb1 takes its successor for a conflict: %+v", k)
			}
			p.t.Logf("awake again: lb1 says it slept for %v", s.Agent.Slept.For)
			break
		}
		if !slices.Equal(owners, []string{"lb2"}) || believed != "lb2" {
			p.t.Errorf("after unpause: owners %v, the client believes %q", owners, believed)
		}
		if time.Since(awake) > patience {
			p.t.Fatalf("lb1 does not notice that it slept: %+v, %v", s, err)
		}
	}
	p.measure("unpaused, it takes over", "lb1", func() error { return nil })
	p.returns()
}

// disconnect takes the network from lb1, and gives it back.
func (p *pair) disconnect() {
	p.t.Helper()
	if w := p.measure("podman network disconnect", "lb2", p.podman("network", "disconnect", "lan", "lb1")); w.Outage > tooLong {
		p.t.Errorf("no answer for %v", w.Outage)
	}
	p.expectOwner("lb2")
	if err := p.podman("network", "connect", "--ip", p.compose.Services["lb1"].Networks["lan"].IPv4, "lan", "lb1")(); err != nil {
		p.t.Fatal(err)
	}
	p.measure("connected, it takes over", "lb1", func() error { return nil })
	p.returns()
	s := p.expectRole("lb2", "backup")
	if len(s.Peers) != 1 || !s.Peers[0].Alive {
		p.t.Errorf("lb2 believes of its peer: %+v", s.Peers)
	}
}

// checkProcesses looks at the privileges of the processes of lb1.
func (p *pair) checkProcesses() {
	p.t.Helper()
	s := p.expectRole("lb1", "active")
	found := map[string]string{}
	all, err := os.ReadDir("/proc")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, d := range all {
		status, err := os.ReadFile("/proc/" + d.Name() + "/status")
		if err != nil || !strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", p.pids["lb1"])) {
			continue
		}
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if words, err := lab.Words(pid); err == nil && len(words) > 1 {
			found[words[1]] = string(status)
		}
	}
	contains(p.t, found["worker"], "Uid:\t61112\t61112\t61112\t61112\n", "Gid:\t61112\t61112\t61112\t61112\n", "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n")
	if found["agent"] == "" {
		p.t.Errorf("lb1 has no agent: %v", found)
	}
	if s.Agent.MemoryLocked != "yes" {
		p.t.Errorf("the agent's memory is not locked: %s", s.Agent.MemoryLocked)
	}
	// Whether a container may run in real time is for the host to say, too.
	if s.Agent.Realtime != "yes" && !strings.Contains(s.Agent.Realtime, "cpu.rt_runtime_us") {
		p.t.Errorf("the agent does not run in real time: %s", s.Agent.Realtime)
	}
	p.t.Logf("lb1: real time: %s", s.Agent.Realtime)
	if s.Timeline != "" {
		p.t.Errorf("the timeline is not kept: %s", s.Timeline)
	}
}
