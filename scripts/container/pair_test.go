package container

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/probe"
)

var vip = netip.MustParsePrefix("10.112.0.100/24") // of compose.yaml

func parseStatus(text string) (*admin.Status, error) {
	s := &admin.Status{}
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return nil, fmt.Errorf("parse status: %w", err)
	}
	return s, nil
}

// pair is what compose.yaml describes, on a host of a lab.
type pair struct {
	*engine
	t       *testing.T
	compose composeFile
	host    *lab.Host
	pids    map[string]int
	traffic *traffic
}

// compose starts the services, and waits until the client is served by lb1.
func (e *engine) compose(t *testing.T, host *lab.Host) *pair {
	t.Helper()
	p := &pair{engine: e, t: t, compose: readCompose(t), host: host, pids: map[string]int{}}
	for name := range p.compose.Networks {
		e.run(host, p.compose.network(name)...)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"lb1", "lb2"} {
				t.Logf("log of %s:\n%s", name, lastWords(e.log(name)))
			}
		}
		e.run(host, append([]string{"rm", "--force", "--time", "0"}, p.names()...)...)
	})
	for _, name := range []string{"s1", "s2", "lb1", "lb2", "client"} {
		e.run(host, p.compose.run(t, name)...)
		p.pids[name] = e.pid(name)
	}
	p.expectOwner("lb1")
	p.traffic = startTraffic(t, nil, vip.Addr(), "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", p.pids["client"]))
	p.traffic.look = p.owners
	p.traffic.served(t)
	return p
}

func (p *pair) names() []string {
	var names []string
	for name := range p.pids {
		names = append(names, name)
	}
	return names
}

// inside calls f for the network of a container; an error when it has none.
func (p *pair) inside(name string, f func(*netlink.Handle) error) error {
	ns, err := netns.GetFromPid(p.pids[name])
	if err != nil {
		return fmt.Errorf("network of %s: %w", name, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("network of %s: %w", name, err)
	}
	defer h.Close()
	return f(h)
}

// has reports whether a container that runs has the VIP, and the MAC address of its
// interface, which may not be there.
func (p *pair) has(name string) (has bool, mac net.HardwareAddr) {
	_ = p.inside(name, func(h *netlink.Handle) error {
		links, err := h.LinkList()
		for _, link := range links {
			if link.Attrs().Name == "lo" {
				continue
			}
			mac = link.Attrs().HardwareAddr
			all, aerr := h.AddrList(link, netlink.FAMILY_V4)
			err = errors.Join(err, aerr)
			has = has || slices.ContainsFunc(all, func(a netlink.Addr) bool { return a.IP.Equal(vip.Addr().AsSlice()) })
		}
		return err
	})
	return has, mac
}

// owners returns the nodes that have the VIP, and whom of them the client believes.
func (p *pair) owners() (owners []string, believed string) {
	var neighbour net.HardwareAddr
	err := p.inside("client", func(h *netlink.Handle) error {
		all, err := h.NeighList(0, netlink.FAMILY_V4)
		for _, n := range all {
			if n.IP.Equal(vip.Addr().AsSlice()) {
				neighbour = n.HardwareAddr
			}
		}
		return err
	})
	if err != nil {
		p.t.Error(err)
	}
	for _, name := range []string{"lb1", "lb2"} {
		has, mac := p.has(name)
		if has {
			owners = append(owners, name)
		}
		if mac != nil && bytes.Equal(mac, neighbour) {
			believed = name
		}
	}
	return owners, believed
}

// expectOwner waits until one node alone has the VIP, as the client knows.
func (p *pair) expectOwner(name string) {
	p.t.Helper()
	eventually(p.t, name+" alone has the VIP", func() (bool, string) {
		owners, believed := p.owners()
		return slices.Equal(owners, []string{name}) && believed == name, fmt.Sprintf("owners %v, the client believes %q", owners, believed)
	})
}

// expectRole waits until a node says that it has the role, and returns its status.
func (p *pair) expectRole(name, role string) (s *admin.Status) {
	p.t.Helper()
	eventually(p.t, name+" is "+role, func() (bool, string) {
		var err error
		if s, err = p.status(name); err != nil {
			return false, err.Error()
		}
		v := s.VIPs[0]
		return s.Fit && v.Role.String() == role, fmt.Sprintf("%+v", v)
	})
	return s
}

// measure is that of the traffic.
func (p *pair) measure(event, heir string, do func() error) probe.Window {
	p.t.Helper()
	return p.traffic.measure(p.t, event, heir, do)
}

// podman returns a call of podman on the host, to be made later.
func (p *pair) podman(args ...string) func() error {
	return func() error {
		_, err := p.try(p.host, args...)
		return err
	}
}

// start starts a container that has ended.
func (p *pair) start(name string) error {
	err := p.podman("start", name)()
	p.pids[name] = p.pid(name)
	return err
}

// returns waits until lb1 leads again.
func (p *pair) returns() {
	p.t.Helper()
	p.expectOwner("lb1")
	p.expectRole("lb1", "active")
	p.traffic.served(p.t)
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}
