package traffic

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/secure"
	"github.com/tandemlb/tandem/proxy"
)

func effectivePool(p proxy.Pool) *yaml.Node {
	n := notation.Block()
	if len(p.Servers) > 0 {
		servers := notation.List()
		for _, s := range p.Servers {
			servers.Content = append(servers.Content, effectiveServer(s))
		}
		notation.Put(n, "servers", servers)
	}
	if p.Discover.DNS != "" {
		notation.Put(n, "discover", single("dns", p.Discover.DNS))
	}
	if p.TLS != nil {
		notation.Put(n, "tls", secure.EffectivePool(p.TLS))
	}
	notation.Put(n, "balance", notation.Text(string(p.Balance)))
	if p.HashOn.Kind != proxy.KeyNone {
		notation.Put(n, "hash_on", notation.Text(formatKey(p.HashOn)))
	}
	if p.Sticky.Cookie != "" {
		notation.Put(n, "sticky", single("cookie", p.Sticky.Cookie))
	}
	if p.Check.Kind != proxy.CheckNone {
		notation.Put(n, "check", effectiveCheck(p.Check))
	}
	notation.Put(n, "outlier", effectiveOutlier(p.Outlier))
	notation.Put(n, "breaker", effectiveBreaker(p.Breaker))
	notation.Put(n, "retry", effectiveRetry(p.Retry))
	notation.Put(n, "timeouts", effectivePoolTimeouts(p.Timeouts))
	notation.Put(n, "limits", effectivePoolLimits(p.Limits))
	notation.Put(n, "slow_start", notation.Duration(p.SlowStart))
	notation.Put(n, "drain", notation.Duration(p.Drain))
	if p.SendProxy != proxy.ProxyNone {
		notation.Put(n, "send_proxy", notation.Text(string(p.SendProxy)))
	}
	return n
}

// single returns a map of one entry, as {key: value}.
func single(key, value string) *yaml.Node {
	n := notation.Flow()
	notation.Put(n, key, notation.Text(value))
	return n
}

// effectiveServer writes what is not said by the address alone.
func effectiveServer(s proxy.Server) *yaml.Node {
	address := s.Host
	if address == "" {
		address = s.Address.String()
	}
	n := notation.Flow()
	notation.Put(n, "address", notation.Text(address))
	if s.Name != address {
		notation.Put(n, "name", notation.Text(s.Name))
	}
	if s.Weight != 1 {
		notation.Put(n, "weight", notation.Integer(s.Weight))
	}
	if s.MaxConnections != 0 {
		notation.Put(n, "max_connections", notation.Integer(s.MaxConnections))
	}
	if s.Backup {
		notation.Put(n, "backup", notation.Boolean(true))
	}
	if len(n.Content) == 2 {
		return notation.Text(address)
	}
	return n
}

func effectiveOutlier(o proxy.Outlier) *yaml.Node {
	if o.Consecutive == 0 {
		return notation.Boolean(false)
	}
	n := notation.Block()
	notation.Put(n, "consecutive", notation.Integer(o.Consecutive))
	notation.Put(n, "eject", notation.Duration(o.Eject))
	notation.Put(n, "max_ejected", notation.Text(notation.FormatShare(o.MaxEjected)))
	return n
}

func effectiveBreaker(b proxy.Breaker) *yaml.Node {
	if b.ErrorRate == 0 {
		return notation.Boolean(false)
	}
	n := notation.Block()
	notation.Put(n, "error_rate", notation.Text(notation.FormatShare(b.ErrorRate)))
	notation.Put(n, "window", notation.Duration(b.Window))
	notation.Put(n, "minimum", notation.Integer(b.Minimum))
	notation.Put(n, "open", notation.Duration(b.Open))
	return n
}

func effectiveRetry(r proxy.Retry) *yaml.Node {
	if r.Attempts == 0 {
		return notation.Boolean(false)
	}
	n := notation.Block()
	notation.Put(n, "attempts", notation.Integer(r.Attempts))
	notation.Put(n, "on", notation.Line(r.On, func(on proxy.RetryOn) string { return string(on) }))
	notation.Put(n, "budget", notation.Text(notation.FormatShare(r.Budget)))
	notation.Put(n, "backoff", notation.Duration(r.Backoff))
	return n
}

func effectivePoolTimeouts(t proxy.PoolTimeouts) *yaml.Node {
	n := notation.Block()
	notation.Put(n, "connect", notation.Duration(t.Connect))
	notation.Put(n, "response", notation.Duration(t.Response))
	notation.Put(n, "body_idle", notation.Duration(t.BodyIdle))
	notation.Put(n, "idle", notation.Duration(t.Idle))
	return n
}

func effectivePoolLimits(l proxy.PoolLimits) *yaml.Node {
	n := notation.Block()
	notation.Put(n, "connections", notation.Integer(l.Connections))
	notation.Put(n, "queue", notation.Integer(l.Queue))
	if l.Queue > 0 {
		notation.Put(n, "queue_timeout", notation.Duration(l.QueueTimeout))
	}
	notation.Put(n, "idle", notation.Integer(l.Idle))
	notation.Put(n, "age", notation.Duration(l.Age))
	return n
}

func effectiveCheck(c proxy.Check) *yaml.Node {
	n := notation.Block()
	switch c.Kind {
	case proxy.CheckHTTP:
		notation.Put(n, "http", notation.Text(c.Method+" "+c.Path))
		notation.Put(n, "expect", effectiveStatuses(c.Expect))
	case proxy.CheckTCP:
		notation.Put(n, "tcp", notation.Boolean(true))
	default:
		panic(fmt.Sprintf("config: unhandled kind of check %q", c.Kind))
	}
	notation.Put(n, "every", notation.Duration(c.Every))
	notation.Put(n, "timeout", notation.Duration(c.Timeout))
	notation.Put(n, "rise", notation.Integer(c.Rise))
	notation.Put(n, "fall", notation.Integer(c.Fall))
	return n
}

func effectiveStatuses(r proxy.StatusRange) *yaml.Node {
	if r.Low == r.High {
		return notation.Integer(r.Low)
	}
	return notation.Text(fmt.Sprintf("%d-%d", r.Low, r.High))
}
