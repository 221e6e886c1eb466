package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// traffic fills in what the keys trust_forwarded, limits and timeouts of a
// listener say, with the defaults of its protocol.
func (d *decoder) traffic(l *proxy.Listener, o fields) {
	trust := o["trust_forwarded"]
	if l.Protocol == proxy.TCP {
		d.refuseOfHTTP(trust)
	}
	l.TrustForwarded = d.networks(trust)
	l.Limits = d.listenerLimits(o["limits"], l.Protocol)
	l.Timeouts = d.listenerTimeouts(o["timeouts"], l.Protocol)
}

// refuseOfHTTP refuses the keys of a TCP listener that do nothing there.
func (d *decoder) refuseOfHTTP(keys ...field) {
	for _, f := range keys {
		if f.set() {
			d.errorf(f.key, "%s does nothing on a tcp listener: it is about HTTP", f.key.Value)
		}
	}
}

func (d *decoder) listenerLimits(f field, protocol proxy.Protocol) proxy.ListenerLimits {
	const (
		most    = 1_000_000 // more than that many descriptors no process has
		maxBody = 1 << 50
	)
	o := d.object(f, "connections", "connections_per_client", "line_bytes", "header_bytes", "headers", "body_bytes", "min_rate")
	connections, perClient := o["connections"], o["connections_per_client"]
	mark := d.Count()
	l := proxy.ListenerLimits{
		Connections:          d.number(connections, 20_000, 1, most),
		ConnectionsPerClient: d.number(perClient, 0, 0, most),
	}
	if d.ok(mark) && l.ConnectionsPerClient > l.Connections {
		d.invalid(perClient, "%d is more than the connections of all clients, which are %d", l.ConnectionsPerClient, l.Connections)
	}
	if protocol == proxy.TCP {
		d.refuseOfHTTP(o["line_bytes"], o["header_bytes"], o["headers"], o["body_bytes"], o["min_rate"])
		return l
	}
	mark = d.Count()
	header := d.size(o["header_bytes"], 32<<10, 1<<10, 1<<20)
	// Shorter heads shorten the default of their first line with them.
	line := d.size(o["line_bytes"], min(8<<10, header), 256, 1<<20)
	if d.ok(mark) && line > header {
		d.invalid(o["line_bytes"], "%s is more than header_bytes: %s, of which the line is part", formatSize(line), formatSize(header))
	}
	l.HeaderBytes, l.LineBytes = int(header), int(line)
	l.Headers = d.number(o["headers"], 100, 1, 1000)
	l.BodyBytes = d.size(o["body_bytes"], 0, 0, maxBody)
	l.MinRate = d.rate(o["min_rate"], 240, 1<<30)
	return l
}

func (d *decoder) listenerTimeouts(f field, protocol proxy.Protocol) proxy.ListenerTimeouts {
	o := d.object(f, "header", "body_idle", "idle", "tunnel", "write_idle")
	t := proxy.ListenerTimeouts{Tunnel: d.duration(o["tunnel"], time.Hour, time.Second, 7*24*time.Hour)}
	if protocol == proxy.TCP {
		d.refuseOfHTTP(o["header"], o["body_idle"], o["write_idle"])
		if idle := o["idle"]; idle.set() {
			d.errorf(idle.key, "idle does nothing on a tcp listener: it is about the time between two requests of HTTP; the silence of a connection is `tunnel`")
		}
		return t
	}
	t.Header = d.patience(o["header"], 10*time.Second)
	t.BodyIdle = d.patience(o["body_idle"], 30*time.Second)
	t.Idle = d.patience(o["idle"], time.Minute)
	t.WriteIdle = d.patience(o["write_idle"], 30*time.Second)
	return t
}

func (d *decoder) poolTimeouts(f field) proxy.PoolTimeouts {
	o := d.object(f, "connect", "response", "body_idle", "idle")
	return proxy.PoolTimeouts{
		Connect:  d.duration(o["connect"], 2*time.Second, 10*time.Millisecond, time.Minute),
		Response: d.patience(o["response"], 30*time.Second),
		BodyIdle: d.patience(o["body_idle"], 5*time.Minute),
		Idle:     d.patience(o["idle"], time.Minute),
	}
}

func (d *decoder) poolLimits(f field) proxy.PoolLimits {
	o := d.object(f, "idle", "age")
	return proxy.PoolLimits{
		Idle: d.number(o["idle"], 1024, 0, 100_000),
		Age:  d.duration(o["age"], 10*time.Minute, time.Second, 24*time.Hour),
	}
}

// patience returns the duration of f, for which the other side is waited for.
func (d *decoder) patience(f field, otherwise time.Duration) time.Duration {
	return d.duration(f, otherwise, 100*time.Millisecond, time.Hour)
}

// networks returns the networks of f; an address alone is a network of one.
func (d *decoder) networks(f field) []netip.Prefix {
	var all []netip.Prefix
	for _, e := range d.list(f, "network") {
		got, ok := d.text(e, "a network such as 10.9.0.0/16")
		if !ok {
			continue
		}
		network, err := parseNetwork(got)
		if err != nil {
			d.invalid(e, "%s", err)
			continue
		}
		all = append(all, network)
	}
	return all
}

func parseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := parseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not a network such as 10.9.0.0/16 or 2001:db8::/32", s)
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is a network of IPv4 in IPv6 clothes: write it as IPv4", s)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q is a host in a network: write %q for the network, or %q for the host", s, p.Masked(), p.Addr())
	}
	return p, nil
}
