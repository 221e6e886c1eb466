package config

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/source"
)

// An advertisement interval is a 12-bit count of centiseconds (RFC 9568,
// section 5.2.7).
const (
	intervalStep = 10 * time.Millisecond
	minInterval  = intervalStep
	maxInterval  = 4095 * intervalStep
)

// warmUp is the preempt delay of "preempt: true": a node that comes back has
// its neighbours resolved and its servers checked by then.
const (
	warmUp          = 3 * time.Second
	maxPreemptDelay = time.Hour
)

// maxLease bounds for how long a dead node could keep an address.
const maxLease = time.Hour

// maxPrefixes is what the address count of an advertisement can say (RFC 9568,
// section 5.2.5).
const maxPrefixes = math.MaxUint8

// router is a VIP with places in the file, for what concerns several.
type router struct {
	VIP
	at    source.Place // of the VRID
	group notation.Field
}

// vips returns the VIPs of the file, whose root has the keys f.
func (d *decoder) vips(f notation.Fields, nodes []Node) []VIP {
	short, long := f["vip"], f["vips"]
	if short.Set() && long.Set() {
		d.Errorf(short.Key, "vip is short for a single entry of vips: write one of them")
	}
	for _, v := range []notation.Field{short, long} {
		if v.Set() && len(nodes) == 0 {
			d.Errorf(v.Key, "a VIP needs the nodes that share it, such as nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}")
		}
	}
	var routers []router
	if short.Set() {
		routers = append(routers, d.vip("main", notation.Fields{"addresses": short}, nodes))
	}
	for _, e := range d.Named(long, "VIPs") {
		mark := d.Count()
		o := d.Object(e, "addresses", "interface", "router_id", "prefer", "priority", "preempt", "advertise", "version", "checksum",
			"unicast", "virtual_mac", "group", "track", "lease")
		if d.OK(mark) && !o["addresses"].Set() {
			d.Errorf(e.Key, "VIP %q has no addresses, such as addresses: 192.0.2.100/24", e.Key.Value)
		}
		routers = append(routers, d.vip(e.Key.Value, o, nodes))
	}
	d.distinctRouterIDs(routers)
	d.agreeingGroups(routers)
	var vips []VIP
	for _, r := range routers {
		vips = append(vips, r.VIP)
	}
	return vips
}

func (d *decoder) vip(name string, f notation.Fields, nodes []Node) router {
	r := router{VIP: VIP{Name: name}}
	listed, owner := d.prefixes(f["addresses"], nodes)
	r.Interface = d.interfaceName(f["interface"])
	r.RouterID, r.at = d.routerID(f, listed)
	r.Prefixes, r.Owner = inOrder(listed, r.RouterID), owner
	mark := d.Count()
	r.Prefer, r.Priority = d.preference(f, nodes, owner)
	r.Preempt, r.PreemptDelay = d.preemption(f["preempt"])
	r.Version = d.version(f["version"], r.VIP)
	r.Advertise = d.interval(f["advertise"], r.Version)
	r.Checksum = d.checksum(f["checksum"], r.VIP)
	r.Unicast = d.unicast(f["unicast"], r.VIP, nodes)
	r.VirtualMAC = d.virtualMAC(f["virtual_mac"], r.VIP)
	r.Group, r.group = d.group(f["group"], name), f["group"]
	sound := d.OK(mark) && len(nodes) > 0
	r.Track = d.track(f["track"], r.VIP, nodes, sound)
	r.Lease = d.lease(f["lease"], r.VIP, sound)
	return r
}

// preemption returns whether and when a node takes over from one that serves.
func (d *decoder) preemption(f notation.Field) (bool, time.Duration) {
	const what = "true, false, or a duration such as 30s"
	if !f.Set() {
		return true, warmUp
	}
	switch got, ok := d.Text(f, what); {
	case !ok:
		return true, warmUp
	case got == "true":
		return true, warmUp
	case got == "false":
		return false, 0
	case got == "" || got[0] < '0' || got[0] > '9':
		d.Expected(f, what)
		return true, warmUp
	}
	return true, d.Duration(f, warmUp, 0, maxPreemptDelay)
}

// prefixes returns the addresses of a VIP as the file lists them, and the node
// that has one of them as its own, if any.
func (d *decoder) prefixes(f notation.Field, nodes []Node) (prefixes []netip.Prefix, owner string) {
	const what = "an address with prefix length such as 192.0.2.100/24 or 2001:db8::100/64"
	count := map[bool]int{} // by whether it is IPv6
	for _, e := range d.List(f, "address") {
		got, ok := d.Text(e, what)
		if !ok {
			continue
		}
		p, err := parseVIP(got)
		if err != nil {
			d.Invalid(e, "%s", err)
			continue
		}
		for _, n := range nodes {
			switch {
			case n.Address != p.Addr():
			case owner != "" && owner != n.Name:
				d.Invalid(e, "%s is the address of node %q, and another that of node %q: one node at most can own addresses of a VIP", p.Addr(), n.Name, owner)
			default:
				owner = n.Name
			}
		}
		d.Claim(e, p.Addr().String(), "a virtual address")
		// An IPv6 advertisement has a link-local address in any case.
		most := maxPrefixes
		if p.Addr().Is6() {
			most--
		}
		if count[p.Addr().Is6()]++; count[p.Addr().Is6()] == most+1 {
			d.Invalid(e, "an advertisement holds at most %d addresses: move the rest to another VIP", most)
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, owner
}

// inOrder returns the addresses of IPv4, then those of IPv6. The first of those is
// the link-local address of the virtual router (RFC 9568, section 5.2.9): where
// none is listed it is made from the router's MAC address, as a host makes its own
// (RFC 4291, appendix A).
func inOrder(listed []netip.Prefix, vrid uint8) []netip.Prefix {
	var v4, local, v6 []netip.Prefix
	for _, p := range listed {
		switch {
		case p.Addr().Is4():
			v4 = append(v4, p)
		case p.Addr().IsLinkLocalUnicast():
			local = append(local, p)
		default:
			v6 = append(v6, p)
		}
	}
	if len(v6) > 0 && len(local) == 0 {
		addr := netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: 0x02, 10: 0x5e, 11: 0xff, 12: 0xfe, 14: 0x02, 15: vrid})
		local = []netip.Prefix{netip.PrefixFrom(addr, 64)}
	}
	return slices.Concat(v4, local, v6)
}

func (d *decoder) interfaceName(f notation.Field) string {
	if !f.Set() {
		return ""
	}
	got, ok := d.Text(f, "the name of an interface")
	if ok && !validInterface(got) {
		d.Invalid(f, "%q is not the name of an interface: that has 1 to 15 characters, without space, / or :", got)
	}
	return got
}

// validInterface follows dev_valid_name of the Linux kernel, for ASCII.
func validInterface(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > 15 {
		return false
	}
	for _, r := range s {
		if r <= ' ' || r > '~' || r == '/' || r == ':' {
			return false
		}
	}
	return true
}

// routerID returns the VRID of a VIP: by default the last number of its first
// address, or of its first IPv4 address if it has one, which both nodes and the
// next version will choose alike.
func (d *decoder) routerID(f notation.Fields, listed []netip.Prefix) (uint8, source.Place) {
	if id := f["router_id"]; id.Set() {
		return uint8(d.Integer(id, 0, math.MaxUint8)), d.Place(id.Value)
	}
	if len(listed) == 0 {
		return 0, source.Place{}
	}
	first := listed[0].Addr()
	if i := slices.IndexFunc(listed, func(p netip.Prefix) bool { return p.Addr().Is4() }); i >= 0 {
		first = listed[i].Addr()
	}
	at := f["addresses"]
	bytes := first.AsSlice()
	id := bytes[len(bytes)-1]
	if id == 0 {
		d.Errorf(at.Key, "the VIP needs a router_id (under `vips`): its default, the last byte of %s, is 0", first)
	}
	return id, d.Place(at.Value)
}

// distinctRouterIDs refuses VIPs that a network could not tell apart. One
// without an interface may be on any. The families are networks of their own.
func (d *decoder) distinctRouterIDs(routers []router) {
	for i, b := range routers {
		for _, a := range routers[:i] {
			apart := a.Interface != "" && b.Interface != "" && a.Interface != b.Interface ||
				(!a.has4() || !b.has4()) && (!a.has6() || !b.has6())
			if a.RouterID != b.RouterID || a.RouterID == 0 || apart {
				continue
			}
			d.Report(b.at, "router_id %d of VIP %q is that of VIP %q, at %s: set another one",
				b.RouterID, b.Name, a.Name, d.At(a.at))
			break
		}
	}
}

// lease returns for how long the kernel keeps the addresses. It must not end while
// the backup still waits: then nobody would have them. The priorities of v are
// known when sound.
func (d *decoder) lease(f notation.Field, v VIP, sound bool) time.Duration {
	const usual = 2 * time.Second
	if !sound {
		return d.Duration(f, usual, time.Second, maxLease)
	}
	// RFC 9568, section 6.1: Skew_Time and Active_Down_Interval.
	unit := v.Advertise
	if v.Version == 2 {
		unit = time.Second // RFC 3768, section 6.1
	}
	lowest := slices.Min(slices.Collect(maps.Values(v.Priority)))
	skew := (256 - time.Duration(lowest)) * unit / 256
	down := 3*v.Advertise + skew
	least := down.Truncate(time.Second) + time.Second
	lease := d.Duration(f, max(usual, least), time.Second, maxLease)
	switch {
	case lease%time.Second != 0:
		d.Invalid(f, "%s is not in whole seconds, as the kernel counts it", lease)
	case lease <= down:
		d.Invalid(f, "the lease of %s ends before a backup takes over, after 3 x advertise + skew = 3 x %s + (256-%d)/256 x %s = %s: set lease: %s",
			lease, v.Advertise, lowest, unit, down.Round(time.Millisecond), least)
	}
	return lease
}
