package traffic

import (
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// trafficOf fills in what the keys trust_forwarded, limits and timeouts of a
// listener say, with the defaults of its protocol.
func (d *decoder) trafficOf(l *proxy.Listener, o notation.Fields) {
	trust := o["trust_forwarded"]
	if l.Protocol != proxy.HTTP {
		d.refuseOfHTTP(l.Protocol, trust)
	}
	l.TrustForwarded = d.Networks(trust)
	l.Limits = d.listenerLimits(o["limits"], l)
	l.Timeouts = d.listenerTimeouts(o["timeouts"], l)
}

// refuseOfHTTP refuses the keys of a listener that do nothing without HTTP.
func (d *decoder) refuseOfHTTP(protocol proxy.Protocol, keys ...notation.Field) {
	for _, f := range keys {
		if f.Set() {
			d.Errorf(f.Key, "%s does nothing on a %s listener: it is about HTTP", f.Key.Value, protocol)
		}
	}
}

// refuseOfTLS refuses f, if it is set, on a listener that terminates no TLS.
func (d *decoder) refuseOfTLS(l *proxy.Listener, f notation.Field) {
	if f.Set() && l.TLS == nil {
		d.Errorf(f.Key, "%s does nothing on a listener without a certificate: it is about TLS that is decrypted here", f.Key.Value)
	}
}

func (d *decoder) listenerLimits(f notation.Field, on *proxy.Listener) proxy.ListenerLimits {
	const maxBody = 1 << 50
	protocol := on.Protocol
	o := d.Object(f, "connections", "connections_per_client", "handshakes", "line_bytes", "header_bytes", "headers", "body_bytes", "min_rate")
	connections, perClient := o["connections"], o["connections_per_client"]
	d.refuseOfTLS(on, o["handshakes"])
	mark := d.Count()
	l := proxy.ListenerLimits{
		Connections:          d.Number(connections, 20_000, 1, maxConnections),
		ConnectionsPerClient: d.Number(perClient, 0, 0, maxConnections),
		Handshakes:           d.Number(o["handshakes"], 0, 0, maxConnections),
	}
	if d.OK(mark) && l.ConnectionsPerClient > l.Connections {
		d.Invalid(perClient, "%d is more than the connections of all clients, which are %d", l.ConnectionsPerClient, l.Connections)
	}
	if protocol != proxy.HTTP {
		d.refuseOfHTTP(protocol, o["line_bytes"], o["header_bytes"], o["headers"], o["body_bytes"], o["min_rate"])
		return l
	}
	mark = d.Count()
	header := d.Size(o["header_bytes"], 32<<10, 1<<10, 1<<20)
	// Shorter heads shorten the default of their first line with them.
	line := d.Size(o["line_bytes"], min(8<<10, header), 256, 1<<20)
	if d.OK(mark) && line > header {
		d.Invalid(o["line_bytes"], "%s is more than header_bytes: %s, of which the line is part", notation.FormatSize(line), notation.FormatSize(header))
	}
	l.HeaderBytes, l.LineBytes = int(header), int(line)
	l.Headers = d.Number(o["headers"], 100, 1, 1000)
	l.BodyBytes = d.Size(o["body_bytes"], 0, 0, maxBody)
	l.MinRate = d.Rate(o["min_rate"], 240, 1<<30)
	return l
}

func (d *decoder) listenerTimeouts(f notation.Field, on *proxy.Listener) proxy.ListenerTimeouts {
	protocol := on.Protocol
	o := d.Object(f, "tls_handshake", "header", "body_idle", "idle", "tunnel", "write_idle")
	idle, tunnel := o["idle"], o["tunnel"]
	var t proxy.ListenerTimeouts
	d.refuseOfTLS(on, o["tls_handshake"])
	if on.TLS != nil {
		t.TLSHandshake = d.patience(o["tls_handshake"], 5*time.Second)
	}
	if protocol != proxy.HTTP {
		d.refuseOfHTTP(protocol, o["header"], o["body_idle"], o["write_idle"])
	}
	if protocol == proxy.UDP {
		if tunnel.Set() {
			d.Errorf(tunnel.Key, "tunnel does nothing on a udp listener: the silence that ends a session is `idle`")
		}
		t.Idle = d.Duration(idle, 30*time.Second, 100*time.Millisecond, time.Hour)
		return t
	}
	t.Tunnel = d.Duration(tunnel, time.Hour, time.Second, 7*24*time.Hour)
	if protocol == proxy.TCP {
		if idle.Set() {
			d.Errorf(idle.Key, "idle does nothing on a tcp listener: it is about the time between two requests of HTTP; the silence of a connection is `tunnel`")
		}
		return t
	}
	t.Header = d.patience(o["header"], 10*time.Second)
	t.BodyIdle = d.patience(o["body_idle"], 30*time.Second)
	t.Idle = d.patience(idle, time.Minute)
	t.WriteIdle = d.patience(o["write_idle"], 30*time.Second)
	return t
}

func (d *decoder) poolTimeouts(f notation.Field) proxy.PoolTimeouts {
	o := d.Object(f, "connect", "response", "body_idle", "idle")
	return proxy.PoolTimeouts{
		Connect:  d.Duration(o["connect"], 2*time.Second, 10*time.Millisecond, time.Minute),
		Response: d.patience(o["response"], 30*time.Second),
		BodyIdle: d.patience(o["body_idle"], 5*time.Minute),
		Idle:     d.patience(o["idle"], time.Minute),
	}
}

// patience returns the duration of f, for which the other side is waited for.
func (d *decoder) patience(f notation.Field, otherwise time.Duration) time.Duration {
	return d.Duration(f, otherwise, 100*time.Millisecond, time.Hour)
}

// distinctNetworks returns the networks of f, each of which is listed once.
func (d *decoder) distinctNetworks(f notation.Field) []netip.Prefix {
	listed := make(map[string]bool)
	var all []netip.Prefix
	for _, e := range d.List(f, "network") {
		for _, network := range d.Networks(e) {
			d.once(listed, e, network.String())
			all = append(all, network)
		}
	}
	return all
}
