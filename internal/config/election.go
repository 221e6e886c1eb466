package config

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/vrrp"
)

// In version 2 an interval is a byte of seconds (RFC 3768, section 5.3.7).
const maxInterval2 = 255 * time.Second

func (v VIP) has4() bool {
	return slices.ContainsFunc(v.Prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() })
}

func (v VIP) has6() bool {
	return slices.ContainsFunc(v.Prefixes, func(p netip.Prefix) bool { return p.Addr().Is6() })
}

// version returns the version of VRRP that the VIP speaks.
func (d *decoder) version(f notation.Field, v VIP) uint8 {
	if d.Choice(f, "3", "2", "3") == "3" {
		return 3
	}
	if v.has6() {
		d.Invalid(f, "version 2 of VRRP knows IPv4 alone, and the VIP has IPv6 addresses")
	}
	return 2
}

// interval returns the time between advertisements.
func (d *decoder) interval(f notation.Field, version uint8) time.Duration {
	otherwise, step, low, high := 100*time.Millisecond, intervalStep, minInterval, maxInterval
	if version == 2 {
		otherwise, step, low, high = time.Second, time.Second, time.Second, maxInterval2
	}
	interval := d.Duration(f, otherwise, low, high)
	if interval%step != 0 {
		d.Invalid(f, "%s is not a multiple of %s", interval, step)
	}
	return interval
}

// checksums are the policies by their names in the file.
var checksums = map[string]vrrp.ChecksumPolicy{
	"auto": vrrp.ChecksumAuto, "rfc9568": vrrp.ChecksumRFC9568, "rfc5798": vrrp.ChecksumRFC5798,
}

// checksum returns how the form of checksums is chosen.
func (d *decoder) checksum(f notation.Field, v VIP) vrrp.ChecksumPolicy {
	name := d.Choice(f, "auto", "auto", "rfc9568", "rfc5798")
	if f.Set() && !v.hasChecksum() {
		d.Invalid(f, "there is a choice for IPv4 in version 3 alone, which the VIP does not use")
	}
	return checksums[name]
}

// hasChecksum reports whether there is a choice of checksums.
func (v VIP) hasChecksum() bool { return v.Version == 3 && v.has4() }

func (d *decoder) unicast(f notation.Field, v VIP, nodes []Node) bool {
	unicast := d.Boolean(f, false)
	for _, n := range nodes {
		if is4 := n.Address.Is4(); unicast && n.Address.IsValid() && (v.has4() && !is4 || v.has6() && is4) {
			d.Invalid(f, "the VIP has addresses of a family that node %q, %s, cannot be reached in: advertise to the multicast group, or split the VIP", n.Name, n.Address)
			break
		}
	}
	return unicast
}

func (d *decoder) virtualMAC(f notation.Field, v VIP) bool {
	virtual := d.Boolean(f, false)
	switch {
	case virtual && v.Unicast:
		d.Invalid(f, "a virtual MAC address needs advertisements that switches see, to the multicast group: leave out unicast")
	case virtual && v.Owner != "":
		d.Invalid(f, "an address of node %q is among those of the VIP, and lives on its interface: choose another address", v.Owner)
	}
	return virtual
}

// group returns the group of a VIP; by default it has one of its own.
func (d *decoder) group(f notation.Field, name string) string {
	if !f.Set() {
		return name
	}
	got, ok := d.Text(f, "the name of a group")
	if ok {
		d.CheckName(f.Value, got)
	}
	return got
}

// agreeingGroups refuses VIPs of one group that would not move together.
func (d *decoder) agreeingGroups(routers []router) {
	for i, b := range routers {
		for _, a := range routers[:i] {
			if a.Group != b.Group || maps.Equal(a.Priority, b.Priority) && a.Preempt == b.Preempt && a.PreemptDelay == b.PreemptDelay {
				continue
			}
			at := b.group
			if !at.Set() {
				at = a.group
			}
			d.Invalid(at, "VIPs %q and %q of group %q differ in prefer, priority or preempt: a group moves together, so they must agree", a.Name, b.Name, b.Group)
			break
		}
	}
}

// track returns what the VIP needs on a node. The priorities of v are known when
// sound.
func (d *decoder) track(f notation.Field, v VIP, nodes []Node, sound bool) Track {
	o := d.Object(f, "interfaces", "gateway", "servers")
	t := Track{Servers: d.Boolean(o["servers"], true)}
	for _, e := range d.List(o["interfaces"], "interface") {
		name := d.interfaceName(e)
		if slices.Contains(t.Interfaces, name) {
			d.Invalid(e, "%q is listed twice", name)
		}
		t.Interfaces = append(t.Interfaces, name)
	}
	if g := o["gateway"]; g.Set() {
		t.Gateway = d.gateway(g, v, nodes)
	}
	// What is lowered must stay above a node that reaches none of its servers.
	const least = 2
	if tracks := len(t.Interfaces) > 0 || t.Gateway.IsValid(); tracks && sound && len(v.Priority) > 1 {
		all := slices.Collect(maps.Values(v.Priority))
		if highest := slices.Max(all); highest-v.Penalty() < least || slices.Min(all) <= least {
			d.Invalid(f, "a node that misses something loses %d of its priority, which leaves too little of %d: set the lowest priority to %d or more",
				v.Penalty(), highest, least+1)
		}
	}
	return t
}

func (d *decoder) gateway(f notation.Field, v VIP, nodes []Node) netip.Addr {
	addr := d.Addr(f, "the IP address of a gateway")
	switch {
	case !addr.IsValid():
		return addr
	case addr.Is4() && !v.has4() || addr.Is6() && !v.has6():
		d.Invalid(f, "%s is of a family that the VIP has no address of", addr)
	case slices.ContainsFunc(v.Prefixes, func(p netip.Prefix) bool { return p.Addr() == addr }):
		d.Invalid(f, "%s is an address of the VIP itself", addr)
	case slices.ContainsFunc(nodes, func(n Node) bool { return n.Address == addr }):
		d.Invalid(f, "%s is a node: the gateway is somebody whom all nodes can lose", addr)
	}
	return addr
}
