package traffic

import (
	"net/netip"
	"slices"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/secure"
	"github.com/tandemlb/tandem/proxy"
)

// listenerKeys are the keys of a listener that are not those of a pool of its own.
var listenerKeys = []string{"bind", "protocol", "tls", "proxy_protocol", "trust_forwarded", "routes", "pool", "limits", "timeouts"}

// listener returns the listener of e, and the pool of its own if it has one. The pools
// in named are those that it may refer to.
func (d *decoder) listener(e notation.Field, named map[string]bool) (proxy.Listener, *proxy.Pool) {
	mark := d.Count()
	o := d.Object(e, slices.Concat(listenerKeys, ownPoolKeys)...)
	sound := d.OK(mark)
	if sound && !o["bind"].Set() {
		d.Errorf(e.Key, "listener %q has no bind: say where it listens, such as bind: \":80\"", e.Key.Value)
	}
	l := proxy.Listener{Name: e.Key.Value}
	l.Protocol = proxy.Protocol(d.Choice(o["protocol"], string(proxy.HTTP), string(proxy.HTTP), string(proxy.TCP), string(proxy.UDP)))
	l.Bind = d.binds(o["bind"], l.Protocol)
	secure.Listener(d.Decoder, o["tls"], &l)
	l.ProxyProtocol = d.proxyProtocol(o["proxy_protocol"], l.Protocol)
	d.trafficOf(&l, o)

	routes, pool, servers := o["routes"], o["pool"], firstSet(o["servers"], o["discover"])
	var own *proxy.Pool
	switch {
	case routes.Set():
		l.Routes = d.routes(routes, &l, named)
		d.refuseBeside(routes, o, append([]string{"pool"}, ownPoolKeys...))
	case pool.Set():
		l.Routes = routeTo(d.pool(pool, named))
		d.refuseBeside(pool, o, ownPoolKeys)
	case servers.Set() && named[l.Name]:
		d.Errorf(servers.Key, "%s make a pool named %q, which `pools` has already: write pool: %s, or rename one", servers.Key.Value, l.Name, l.Name)
	case servers.Set():
		l.Routes = routeTo(l.Name)
		own = new(proxy.Pool)
		*own = d.ownPool(l.Name, o)
	case sound:
		d.Errorf(e.Key, "listener %q has nowhere to send: it needs servers, a pool or routes", l.Name)
	}
	return l, own
}

// firstSet returns the first of fields that the file has.
func firstSet(fields ...notation.Field) notation.Field {
	for _, f := range fields {
		if f.Set() {
			return f
		}
	}
	return notation.Field{}
}

// routeTo returns the routes of a listener that sends everything to one pool.
func routeTo(pool string) []proxy.Route {
	return []proxy.Route{{Split: []proxy.Share{{Pool: pool, Weight: 1}}}}
}

// ownPool returns the pool that a listener describes beside its own keys, of which
// limits and timeouts are not the pool's.
func (d *decoder) ownPool(name string, o notation.Fields) proxy.Pool {
	own := make(notation.Fields)
	for _, key := range ownPoolKeys {
		own[key] = o[key]
	}
	return d.poolOf(name, own)
}

// refuseBeside refuses the keys of a listener that say where it sends, or describe
// a pool of its own, beside chosen, which says it already.
func (d *decoder) refuseBeside(chosen notation.Field, o notation.Fields, keys []string) {
	for _, key := range keys {
		f := o[key]
		switch {
		case !f.Set():
		case key == "pool":
			d.Errorf(f.Key, "pool is short for a single route: the listener has routes, at %s; add one at their end, - pool: %s", d.At(d.Place(chosen.Key)), f.Value.Value)
		case chosen.Key.Value == "routes":
			d.Errorf(f.Key, "%s belongs to a pool: the routes name theirs, at %s", key, d.At(d.Place(chosen.Key)))
		default:
			d.Errorf(f.Key, "%s belongs to the pool: the listener names one, at %s", key, d.At(d.Place(chosen.Key)))
		}
	}
}

// proxyProtocol returns the networks whose connections begin with a header of the
// PROXY protocol.
func (d *decoder) proxyProtocol(f notation.Field, protocol proxy.Protocol) []netip.Prefix {
	if f.Set() && protocol == proxy.UDP {
		d.Errorf(f.Key, "proxy_protocol does nothing on a udp listener: the header begins a connection")
	}
	return d.distinctNetworks(f)
}

// binds returns the addresses of f, which nobody else has.
func (d *decoder) binds(f notation.Field, protocol proxy.Protocol) []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, e := range d.List(f, "address") {
		addr, ok := d.Bind(e)
		if !ok {
			continue
		}
		d.Occupy(e, addr, protocol == proxy.UDP)
		addrs = append(addrs, addr)
	}
	return addrs
}
