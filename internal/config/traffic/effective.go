package traffic

import (
	"net/netip"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/secure"
	"github.com/tandemlb/tandem/proxy"
)

// Effective adds the listeners and pools of spec to the map root, with every
// default written out. Decode makes spec of them again.
func Effective(root *yaml.Node, spec proxy.Spec) {
	if len(spec.Listeners) > 0 {
		listeners := notation.Block()
		for _, l := range spec.Listeners {
			notation.Put(listeners, l.Name, effectiveListener(l))
		}
		notation.Put(root, "listeners", listeners)
	}
	if len(spec.Pools) > 0 {
		pools := notation.Block()
		for _, p := range spec.Pools {
			notation.Put(pools, p.Name, effectivePool(p))
		}
		notation.Put(root, "pools", pools)
	}
}

// EffectiveLog adds what l says of the traffic to the map `log`.
func EffectiveLog(log *yaml.Node, l proxy.Log) {
	access := notation.Boolean(l.Access)
	if l.Access && l.Sample < 1 {
		access = notation.Flow()
		notation.Put(access, "sample", notation.Text(notation.FormatShare(l.Sample)))
	}
	notation.Put(log, "access", access)
	notation.Put(log, "request_id", notation.Text(l.RequestID))
	if l.Tenant != "" {
		notation.Put(log, "tenant", notation.Text(l.Tenant))
	}
}

func effectiveListener(l proxy.Listener) *yaml.Node {
	n := notation.Block()
	notation.Put(n, "bind", notation.Line(l.Bind, notation.FormatBind))
	notation.Put(n, "protocol", notation.Text(string(l.Protocol)))
	if tls := secure.EffectiveListener(&l); tls != nil {
		notation.Put(n, "tls", tls)
	}
	if len(l.ProxyProtocol) > 0 {
		notation.Put(n, "proxy_protocol", notation.Line(l.ProxyProtocol, netip.Prefix.String))
	}
	if len(l.TrustForwarded) > 0 {
		notation.Put(n, "trust_forwarded", notation.Line(l.TrustForwarded, netip.Prefix.String))
	}
	if pool, ok := onlyPool(l.Routes); ok {
		notation.Put(n, "pool", notation.Text(pool))
	} else {
		routes := notation.List()
		for _, r := range l.Routes {
			routes.Content = append(routes.Content, effectiveRoute(r))
		}
		notation.Put(n, "routes", routes)
	}
	notation.Put(n, "limits", effectiveListenerLimits(l))
	notation.Put(n, "timeouts", effectiveListenerTimeouts(l))
	return n
}

func effectiveListenerLimits(l proxy.Listener) *yaml.Node {
	n := notation.Block()
	notation.Put(n, "connections", notation.Integer(l.Limits.Connections))
	notation.Put(n, "connections_per_client", notation.Integer(l.Limits.ConnectionsPerClient))
	if l.TLS != nil {
		notation.Put(n, "handshakes", notation.Integer(l.Limits.Handshakes))
	}
	if l.Protocol == proxy.HTTP {
		notation.Put(n, "line_bytes", notation.Size(int64(l.Limits.LineBytes)))
		notation.Put(n, "header_bytes", notation.Size(int64(l.Limits.HeaderBytes)))
		notation.Put(n, "headers", notation.Integer(l.Limits.Headers))
		notation.Put(n, "body_bytes", notation.Size(l.Limits.BodyBytes))
		notation.Put(n, "min_rate", notation.Rate(l.Limits.MinRate))
	}
	return n
}

func effectiveListenerTimeouts(l proxy.Listener) *yaml.Node {
	n := notation.Block()
	if l.TLS != nil {
		notation.Put(n, "tls_handshake", notation.Duration(l.Timeouts.TLSHandshake))
	}
	if l.Protocol == proxy.HTTP {
		notation.Put(n, "header", notation.Duration(l.Timeouts.Header))
		notation.Put(n, "body_idle", notation.Duration(l.Timeouts.BodyIdle))
		notation.Put(n, "write_idle", notation.Duration(l.Timeouts.WriteIdle))
	}
	if l.Protocol != proxy.TCP {
		notation.Put(n, "idle", notation.Duration(l.Timeouts.Idle))
	}
	if l.Protocol != proxy.UDP {
		notation.Put(n, "tunnel", notation.Duration(l.Timeouts.Tunnel))
	}
	return n
}
