package traffic

import (
	"maps"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/secure"
	"github.com/tandemlb/tandem/internal/config/source"
	"github.com/tandemlb/tandem/proxy"
)

// ownPoolKeys are the keys of a pool that may stand in a listener, and describe a
// pool of its own there. The limits, timeouts and tls of a listener are its own.
var ownPoolKeys = []string{
	"servers", "discover", "balance", "hash_on", "sticky", "check", "outlier", "breaker", "retry", "slow_start", "drain", "send_proxy",
}

// balances are the ways to choose a server.
var balances = []string{
	string(proxy.RoundRobin), string(proxy.LeastConnections), string(proxy.LeastResponseTime),
	string(proxy.ClientIPHash), string(proxy.ConsistentHash), string(proxy.Random),
}

// pools returns the pools of the file. It goes on with a pool that has errors,
// so that who refers to it is not reported as well.
func (d *decoder) pools(f notation.Field) []proxy.Pool {
	var pools []proxy.Pool
	for _, e := range d.Named(f, "pools") {
		mark := d.Count()
		o := d.Object(e, append([]string{"timeouts", "limits", "tls"}, ownPoolKeys...)...)
		if d.OK(mark) && !o["servers"].Set() && !o["discover"].Set() {
			d.Errorf(e.Key, "pool %q has no servers: list them, or say where they are found with discover", e.Key.Value)
		}
		pools = append(pools, d.poolOf(e.Key.Value, o))
	}
	return pools
}

// pool returns the name of the pool that f refers to.
func (d *decoder) pool(f notation.Field, named map[string]bool) string {
	got, ok := d.Text(f, "the name of a pool")
	if ok && !named[got] {
		d.Invalid(f, "unknown pool %q%s", got, d.instead(got, named))
	}
	return got
}

// instead returns what a message about an unknown pool goes on with. Thousands of
// routes may name the same one, and each search is through all that there are.
func (d *decoder) instead(got string, named map[string]bool) string {
	hint, known := d.hints[got]
	if !known {
		hint = source.Instead(got, slices.Sorted(maps.Keys(named)))
		d.hints[got] = hint
	}
	return hint
}

// poolOf returns the pool that the keys of o describe.
func (d *decoder) poolOf(name string, o notation.Fields) proxy.Pool {
	d.keys[name] = o
	mark := d.Count()
	p := proxy.Pool{
		Name:      name,
		Servers:   d.servers(o["servers"], name),
		Discover:  d.discover(o["discover"]),
		TLS:       secure.Pool(d.Decoder, o["tls"]),
		Balance:   proxy.Balance(d.Choice(o["balance"], string(proxy.RoundRobin), balances...)),
		Sticky:    d.sticky(o["sticky"]),
		Check:     d.check(o["check"]),
		Outlier:   d.outlier(o["outlier"]),
		Breaker:   d.breaker(o["breaker"]),
		Retry:     d.retry(o["retry"]),
		Timeouts:  d.poolTimeouts(o["timeouts"]),
		SlowStart: d.Duration(o["slow_start"], 0, 0, time.Hour),
		Drain:     d.Duration(o["drain"], 30*time.Second, 0, 24*time.Hour),
		SendProxy: proxy.ProxyVersion(d.Choice(o["send_proxy"], string(proxy.ProxyNone), string(proxy.ProxyV1), string(proxy.ProxyV2))),
	}
	p.HashOn = d.hashOn(o, p.Balance)
	p.Limits = d.poolLimits(o["limits"], p.Servers)
	if d.OK(mark) {
		d.usable(o, p)
	}
	return p
}

func (d *decoder) sticky(f notation.Field) proxy.Sticky {
	if !f.Set() {
		return proxy.Sticky{}
	}
	mark := d.Count()
	o := d.Object(f, "cookie")
	if d.OK(mark) && !o["cookie"].Set() {
		d.Invalid(f, "it needs the name of a cookie, such as {cookie: TANDEM}")
	}
	return proxy.Sticky{Cookie: d.token(o["cookie"], "the name of a cookie")}
}

// hashOn returns what the servers of a pool are chosen by.
func (d *decoder) hashOn(o notation.Fields, balance proxy.Balance) proxy.Key {
	f := o["hash_on"]
	switch {
	case f.Set() && balance != proxy.ConsistentHash:
		d.Errorf(f.Key, "hash_on does nothing with balance: %s: it belongs to consistent_hash", balance)
		return proxy.Key{}
	case f.Set():
		return d.key(f, proxy.KeyClient, proxy.KeyHeader, proxy.KeyCookie, proxy.KeyPath, proxy.KeyQuery)
	case balance == proxy.ConsistentHash:
		d.Invalid(o["balance"], "consistent_hash needs hash_on: client, header NAME, cookie NAME, path or query NAME")
	}
	return proxy.Key{}
}

func poolNames(pools []proxy.Pool) map[string]bool {
	names := make(map[string]bool, len(pools))
	for _, p := range pools {
		names[p.Name] = true
	}
	return names
}
