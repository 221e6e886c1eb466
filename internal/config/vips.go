package config

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"
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

// router is a VIP with the place of its VRID, for what concerns several.
type router struct {
	VIP
	at place
}

// vips returns the VIPs of the file, whose root has the keys f.
func (d *decoder) vips(f fields, nodes []Node) []VIP {
	short, long := f["vip"], f["vips"]
	if short.set() && long.set() {
		d.errorf(short.key, "vip is short for a single entry of vips: write one of them")
	}
	for _, v := range []field{short, long} {
		if v.set() && len(nodes) == 0 {
			d.errorf(v.key, "a VIP needs the nodes that share it, such as nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}")
		}
	}
	var routers []router
	if short.set() {
		routers = append(routers, d.vip("main", fields{"addresses": short}, nodes))
	}
	for _, e := range d.named(long, "VIPs") {
		mark := len(d.errs)
		o := d.object(e, "addresses", "interface", "router_id", "prefer", "priority", "preempt", "advertise", "lease")
		if d.ok(mark) && !o["addresses"].set() {
			d.errorf(e.key, "VIP %q has no addresses, such as addresses: 192.0.2.100/24", e.key.Value)
		}
		routers = append(routers, d.vip(e.key.Value, o, nodes))
	}
	d.distinctRouterIDs(routers)
	var vips []VIP
	for _, r := range routers {
		vips = append(vips, r.VIP)
	}
	return vips
}

func (d *decoder) vip(name string, f fields, nodes []Node) router {
	r := router{VIP: VIP{Name: name, Prefixes: d.prefixes(f["addresses"], nodes)}}
	r.Interface = d.interfaceName(f["interface"])
	r.RouterID, r.at = d.routerID(f, r.Prefixes)
	mark := len(d.errs)
	r.Prefer, r.Priority = d.preference(f, nodes)
	r.Preempt, r.PreemptDelay = d.preemption(f["preempt"])
	r.Advertise = d.duration(f["advertise"], 100*time.Millisecond, minInterval, maxInterval)
	if r.Advertise%intervalStep != 0 {
		d.invalid(f["advertise"], "%s is not a multiple of %s", r.Advertise, intervalStep)
	}
	r.Lease = d.duration(f["lease"], 2*time.Second, time.Second, maxLease)
	if r.Lease%time.Second != 0 {
		d.invalid(f["lease"], "%s is not in whole seconds, as the kernel counts it", r.Lease)
	}
	if d.ok(mark) && len(nodes) > 0 {
		d.outlastsElection(f, r.VIP)
	}
	return r
}

// preemption returns whether and when a node takes over from one that serves.
func (d *decoder) preemption(f field) (bool, time.Duration) {
	const what = "true, false, or a duration such as 30s"
	if !f.set() {
		return true, warmUp
	}
	switch got, ok := d.text(f, what); {
	case !ok:
		return true, warmUp
	case got == "true":
		return true, warmUp
	case got == "false":
		return false, 0
	case got == "" || got[0] < '0' || got[0] > '9':
		d.expected(f, what)
		return true, warmUp
	}
	return true, d.duration(f, warmUp, 0, maxPreemptDelay)
}

// prefixes returns the addresses of a VIP.
func (d *decoder) prefixes(f field, nodes []Node) []netip.Prefix {
	const what = "an address with prefix length such as 192.0.2.100/24"
	var prefixes []netip.Prefix
	for i, e := range d.list(f, "address") {
		got, ok := d.text(e, what)
		if !ok {
			continue
		}
		p, err := parseVIP(got)
		if err != nil {
			d.invalid(e, "%s", err)
			continue
		}
		for _, n := range nodes {
			if n.Address == p.Addr() {
				d.invalid(e, "%s is the address of node %q: a VIP is an address that no host has of its own", p.Addr(), n.Name)
			}
		}
		d.claim(e, p.Addr().String(), "a virtual address")
		if i == maxPrefixes {
			d.invalid(e, "an advertisement holds at most %d addresses: move the rest to another VIP", maxPrefixes)
		}
		prefixes = append(prefixes, p)
	}
	return prefixes
}

func (d *decoder) interfaceName(f field) string {
	if !f.set() {
		return ""
	}
	got, ok := d.text(f, "the name of an interface")
	if ok && !validInterface(got) {
		d.invalid(f, "%q is not the name of an interface: that has 1 to 15 characters, without space, / or :", got)
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
// address, which both nodes and the next version will choose alike.
func (d *decoder) routerID(f fields, prefixes []netip.Prefix) (uint8, place) {
	if id := f["router_id"]; id.set() {
		return uint8(d.integer(id, 0, math.MaxUint8)), d.node(id.value)
	}
	if len(prefixes) == 0 {
		return 0, place{}
	}
	at := f["addresses"]
	id := prefixes[0].Addr().As4()[3]
	if id == 0 {
		d.errorf(at.key, "the VIP needs a router_id (under `vips`): its default, the last number of %s, is 0", prefixes[0].Addr())
	}
	return id, d.node(at.value)
}

// distinctRouterIDs refuses VIPs that a network could not tell apart. One
// without an interface may be on any.
func (d *decoder) distinctRouterIDs(routers []router) {
	for i, b := range routers {
		for _, a := range routers[:i] {
			apart := a.Interface != "" && b.Interface != "" && a.Interface != b.Interface
			if a.RouterID != b.RouterID || a.RouterID == 0 || apart {
				continue
			}
			d.report(b.at, "router_id %d of VIP %q is that of VIP %q, at %s: set another one",
				b.RouterID, b.Name, a.Name, d.at(a.at))
			break
		}
	}
}

// outlastsElection refuses a lease that could end while the backup still waits:
// then nobody would have the address.
func (d *decoder) outlastsElection(f fields, v VIP) {
	lowest := slices.Min(slices.Collect(maps.Values(v.Priority)))
	// RFC 9568, section 6.1: Skew_Time and Active_Down_Interval.
	skew := (256 - time.Duration(lowest)) * v.Advertise / 256
	down := 3*v.Advertise + skew
	if v.Lease > down {
		return
	}
	at := f["lease"]
	if !at.set() {
		at = f["advertise"]
	}
	d.invalid(at, "the lease of %s ends before a backup takes over, after 3 x advertise + skew = 3 x %s + (256-%d)/256 x %s = %s: set lease: %s",
		v.Lease, v.Advertise, lowest, v.Advertise, down.Round(time.Millisecond), down.Truncate(time.Second)+time.Second)
}
