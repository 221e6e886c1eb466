package config

import (
	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/proxy"
)

// pools returns the pools of the file. It goes on with a pool that has errors,
// so that who refers to it is not reported as well.
func (d *decoder) pools(f field) []proxy.Pool {
	var pools []proxy.Pool
	for _, e := range d.named(f, "pools") {
		mark := d.Count()
		o := d.object(e, "servers", "balance", "check", "timeouts", "limits")
		if !o["servers"].set() && d.ok(mark) {
			d.errorf(e.key, "pool %q has no servers", e.key.Value)
		}
		pools = append(pools, d.pool(e.key.Value, o))
	}
	return pools
}

// pool returns the pool that the keys of f describe.
func (d *decoder) pool(name string, f fields) proxy.Pool {
	return proxy.Pool{
		Name:     name,
		Servers:  d.servers(f["servers"], name),
		Balance:  proxy.Balance(d.choice(f["balance"], string(proxy.RoundRobin), string(proxy.RoundRobin))),
		Check:    d.check(f["check"]),
		Timeouts: d.poolTimeouts(f["timeouts"]),
		Limits:   d.poolLimits(f["limits"]),
	}
}

func (d *decoder) servers(f field, pool string) []proxy.Server {
	var servers []proxy.Server
	for _, e := range d.list(f, "server") {
		if s, ok := d.server(e, pool); ok {
			servers = append(servers, s)
		}
	}
	return servers
}

func (d *decoder) server(f field, pool string) (proxy.Server, bool) {
	mark := d.Count()
	address := f
	var name field
	if f.value.Kind == yaml.MappingNode {
		o := d.object(f, "address", "name")
		address, name = o["address"], o["name"]
		if !address.set() && d.ok(mark) {
			d.errorf(f.value, "the server has no address")
		}
	}
	if !address.set() {
		return proxy.Server{}, false
	}
	addr, ok := d.destination(address)
	if !ok {
		return proxy.Server{}, false
	}
	d.claim(address, addr.String(), "a server of pool "+pool)
	s := proxy.Server{Name: addr.String(), Address: addr}
	if name.set() {
		if s.Name, ok = d.text(name, "a name"); ok {
			d.validName(name.value, s.Name)
			d.claim(name, s.Name, "the name of a server of pool "+pool)
		}
	}
	return s, d.ok(mark)
}

func poolNames(pools []proxy.Pool) []string {
	names := make([]string, 0, len(pools))
	for _, p := range pools {
		names = append(names, p.Name)
	}
	return names
}
