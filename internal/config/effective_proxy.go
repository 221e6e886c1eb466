package config

import (
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/proxy"
)

func effectiveListener(l proxy.Listener) *yaml.Node {
	n := block()
	put(n, "bind", line(l.Bind, formatBind))
	put(n, "protocol", text(string(l.Protocol)))
	put(n, "pool", text(l.Routes[0].Split[0].Pool))
	if len(l.TrustForwarded) > 0 {
		put(n, "trust_forwarded", line(l.TrustForwarded, netip.Prefix.String))
	}
	put(n, "limits", effectiveListenerLimits(l))
	put(n, "timeouts", effectiveListenerTimeouts(l))
	return n
}

func effectiveListenerLimits(l proxy.Listener) *yaml.Node {
	n := block()
	put(n, "connections", integer(l.Limits.Connections))
	put(n, "connections_per_client", integer(l.Limits.ConnectionsPerClient))
	if l.Protocol == proxy.HTTP {
		put(n, "line_bytes", size(int64(l.Limits.LineBytes)))
		put(n, "header_bytes", size(int64(l.Limits.HeaderBytes)))
		put(n, "headers", integer(l.Limits.Headers))
		put(n, "body_bytes", size(l.Limits.BodyBytes))
		put(n, "min_rate", rate(l.Limits.MinRate))
	}
	return n
}

func effectiveListenerTimeouts(l proxy.Listener) *yaml.Node {
	n := block()
	if l.Protocol == proxy.HTTP {
		put(n, "header", duration(l.Timeouts.Header))
		put(n, "body_idle", duration(l.Timeouts.BodyIdle))
		put(n, "write_idle", duration(l.Timeouts.WriteIdle))
		put(n, "idle", duration(l.Timeouts.Idle))
	}
	put(n, "tunnel", duration(l.Timeouts.Tunnel))
	return n
}

func effectivePool(p proxy.Pool) *yaml.Node {
	n := block()
	servers := &yaml.Node{Kind: yaml.SequenceNode}
	for _, s := range p.Servers {
		server := text(s.Address.String())
		if s.Name != server.Value {
			server = flow()
			put(server, "address", text(s.Address.String()))
			put(server, "name", text(s.Name))
		}
		servers.Content = append(servers.Content, server)
	}
	put(n, "servers", servers)
	put(n, "balance", text(string(p.Balance)))
	if p.Check.Kind != proxy.CheckNone {
		put(n, "check", effectiveCheck(p.Check))
	}
	timeouts, limits := block(), block()
	put(timeouts, "connect", duration(p.Timeouts.Connect))
	put(timeouts, "response", duration(p.Timeouts.Response))
	put(timeouts, "body_idle", duration(p.Timeouts.BodyIdle))
	put(timeouts, "idle", duration(p.Timeouts.Idle))
	put(n, "timeouts", timeouts)
	put(limits, "idle", integer(p.Limits.Idle))
	put(limits, "age", duration(p.Limits.Age))
	put(n, "limits", limits)
	return n
}

func effectiveCheck(c proxy.Check) *yaml.Node {
	n := block()
	switch c.Kind {
	case proxy.CheckHTTP:
		put(n, "http", text(c.Method+" "+c.Path))
		put(n, "expect", effectiveStatuses(c.Expect))
	case proxy.CheckTCP:
		put(n, "tcp", boolean(true))
	default:
		panic(fmt.Sprintf("config: unhandled kind of check %q", c.Kind))
	}
	put(n, "every", duration(c.Every))
	put(n, "timeout", duration(c.Timeout))
	put(n, "rise", integer(c.Rise))
	put(n, "fall", integer(c.Fall))
	return n
}

func effectiveStatuses(r proxy.StatusRange) *yaml.Node {
	if r.Low == r.High {
		return integer(r.Low)
	}
	return text(fmt.Sprintf("%d-%d", r.Low, r.High))
}

func effectiveLog(l Log, traffic proxy.Log) *yaml.Node {
	n := block()
	put(n, "level", text(l.Level))
	access := boolean(traffic.Access)
	if traffic.Access && traffic.Sample < 1 {
		access = flow()
		put(access, "sample", text(formatShare(traffic.Sample)))
	}
	put(n, "access", access)
	put(n, "request_id", text(traffic.RequestID))
	if traffic.Tenant != "" {
		put(n, "tenant", text(traffic.Tenant))
	}
	return n
}
