package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/tandemlb/tandem/internal/config/source"
	"github.com/tandemlb/tandem/proxy"
)

// bound is an address in use, and where the file says so.
type bound struct {
	addr netip.AddrPort
	at   source.Place
}

// proxy returns the listeners and pools of the file: first the named pools,
// then those of the listeners that list servers of their own.
func (d *decoder) proxy(pools, listeners field) proxy.Spec {
	spec := proxy.Spec{Pools: d.pools(pools)}
	named := poolNames(spec.Pools)
	var taken []bound
	for _, e := range d.named(listeners, "listeners") {
		mark := d.Count()
		o := d.object(e, "bind", "protocol", "pool", "servers", "balance", "check", "trust_forwarded", "limits", "timeouts")
		sound := d.ok(mark)
		if sound && !o["bind"].set() {
			d.errorf(e.key, "listener %q has no bind: say where it listens, such as bind: \":80\"", e.key.Value)
		}
		l := proxy.Listener{Name: e.key.Value}
		l.Protocol = proxy.Protocol(d.choice(o["protocol"], string(proxy.HTTP), string(proxy.HTTP), string(proxy.TCP)))
		l.Bind, taken = d.binds(o["bind"], taken)
		d.traffic(&l, o)
		switch {
		case o["pool"].set():
			l.Routes = routeTo(d.reference(o["pool"], "pool", named))
			d.refuseOwnPool(o)
		case o["servers"].set() && slices.Contains(named, l.Name):
			d.errorf(o["servers"].key, "servers make a pool named %q, which `pools` has already: write pool: %s, or rename one", l.Name, l.Name)
		case o["servers"].set():
			l.Routes = routeTo(l.Name)
			spec.Pools = append(spec.Pools, d.ownPool(l.Name, o))
		case sound:
			d.errorf(e.key, "listener %q has nowhere to send: it needs servers or a pool", l.Name)
		}
		spec.Listeners = append(spec.Listeners, l)
	}
	return spec
}

// routeTo returns the routes of a listener that sends everything to one pool.
func routeTo(pool string) []proxy.Route {
	return []proxy.Route{{Split: []proxy.Share{{Pool: pool, Weight: 1}}}}
}

// ownPool returns the pool that a listener describes beside its own keys, of which
// limits and timeouts are not the pool's.
func (d *decoder) ownPool(name string, o fields) proxy.Pool {
	return d.pool(name, fields{"servers": o["servers"], "balance": o["balance"], "check": o["check"]})
}

// refuseOwnPool refuses the keys of a listener that describe a pool of its own,
// which has one already.
func (d *decoder) refuseOwnPool(o fields) {
	for _, key := range []string{"servers", "balance", "check"} {
		if f := o[key]; f.set() {
			d.errorf(f.key, "%s belongs to the pool: the listener names one, at %s", key, d.At(d.Place(o["pool"].key)))
		}
	}
}

// binds returns the addresses of f, and taken with them added.
func (d *decoder) binds(f field, taken []bound) ([]netip.AddrPort, []bound) {
	var addrs []netip.AddrPort
	for _, e := range d.list(f, "address") {
		addr, ok := d.bind(e)
		if !ok {
			continue
		}
		clash := slices.IndexFunc(taken, func(b bound) bool { return overlap(b.addr, addr) })
		switch {
		case clash < 0:
		case taken[clash].addr == addr:
			d.invalid(e, "%s is already bound at %s", formatBind(addr), d.At(taken[clash].at))
		default:
			d.invalid(e, "%s overlaps %s, bound at %s: the kernel gives a port to one of them",
				formatBind(addr), formatBind(taken[clash].addr), d.At(taken[clash].at))
		}
		addrs = append(addrs, addr)
		taken = append(taken, bound{addr, d.Place(e.value)})
	}
	return addrs, taken
}

// overlap reports whether a connection could be for both a and b. The
// unspecified address of IPv6 stands for both families.
func overlap(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() {
		return false
	}
	covers := func(a, b netip.Addr) bool {
		return a == b || a.IsUnspecified() && (a.Is6() || b.Is4())
	}
	return covers(a.Addr(), b.Addr()) || covers(b.Addr(), a.Addr())
}

func formatBind(a netip.AddrPort) string {
	if a.Addr() == netip.IPv6Unspecified() {
		return fmt.Sprintf(":%d", a.Port())
	}
	return a.String()
}
