package config

import (
	"fmt"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/traffic"
)

// Effective returns c in the language of the configuration file, with every
// default written out. Parsing it gives an equal Config.
func (c *Config) Effective() []byte {
	root := notation.Block()
	if len(c.Nodes) > 0 {
		nodes := notation.Block()
		for _, n := range c.Nodes {
			notation.Put(nodes, n.Name, notation.Text(n.Address.String()))
		}
		notation.Put(root, "nodes", nodes)
	}
	cluster := notation.Block()
	if c.Cluster.KeyFile != "" {
		notation.Put(cluster, "key_file", notation.Text(c.Cluster.KeyFile))
	}
	notation.Put(cluster, "port", notation.Integer(c.Cluster.Port))
	notation.Put(root, "cluster", cluster)

	if len(c.VIPs) > 0 {
		vips := notation.Block()
		for _, v := range c.VIPs {
			notation.Put(vips, v.Name, v.effective(c.Nodes))
		}
		notation.Put(root, "vips", vips)
	}
	traffic.Effective(root, c.Proxy)
	log := notation.Block()
	notation.Put(log, "level", notation.Text(c.Log.Level))
	traffic.EffectiveLog(log, c.Proxy.Log)
	notation.Put(root, "log", log)
	if c.Metrics.Listen.IsValid() {
		notation.Put(root, "metrics", c.Metrics.effective())
	}
	if t := c.Proxy.Tracing; t.OTLP != "" {
		notation.Put(root, "tracing", effectiveTracing(t))
	}
	notation.Put(root, "admin", c.Admin.effective())
	notation.Put(root, "state", notation.Text(c.State))
	return notation.Encode(root)
}

func (v VIP) effective(nodes []Node) *yaml.Node {
	n := notation.Block()
	notation.Put(n, "addresses", notation.Line(v.Prefixes, netip.Prefix.String))
	if v.Interface != "" {
		notation.Put(n, "interface", notation.Text(v.Interface))
	}
	notation.Put(n, "router_id", notation.Integer(v.RouterID))
	notation.Put(n, "prefer", notation.Text(v.Prefer))
	priority := notation.Flow()
	for _, node := range nodes {
		if node.Name != v.Owner {
			notation.Put(priority, node.Name, notation.Integer(v.Priority[node.Name]))
		}
	}
	notation.Put(n, "priority", priority)
	notation.Put(n, "preempt", v.preemption())
	notation.Put(n, "advertise", notation.Text(notation.FormatDuration(v.Advertise)))
	notation.Put(n, "version", notation.Integer(v.Version))
	if v.hasChecksum() {
		notation.Put(n, "checksum", notation.Text(v.checksum()))
	}
	notation.Put(n, "unicast", notation.Boolean(v.Unicast))
	notation.Put(n, "virtual_mac", notation.Boolean(v.VirtualMAC))
	notation.Put(n, "group", notation.Text(v.Group))
	notation.Put(n, "track", v.Track.effective())
	notation.Put(n, "lease", notation.Text(notation.FormatDuration(v.Lease)))
	return n
}

func (v VIP) checksum() string {
	for name, policy := range checksums {
		if policy == v.Checksum {
			return name
		}
	}
	panic(fmt.Sprintf("config: unhandled checksum policy %d", v.Checksum))
}

func (t Track) effective() *yaml.Node {
	n := notation.Flow()
	if len(t.Interfaces) > 0 {
		notation.Put(n, "interfaces", notation.Line(t.Interfaces, strings.Clone))
	}
	if t.Gateway.IsValid() {
		notation.Put(n, "gateway", notation.Text(t.Gateway.String()))
	}
	notation.Put(n, "servers", notation.Boolean(t.Servers))
	return n
}

func (v VIP) preemption() *yaml.Node {
	if v.Preempt && v.PreemptDelay != warmUp {
		return notation.Text(notation.FormatDuration(v.PreemptDelay))
	}
	return notation.Boolean(v.Preempt)
}
