package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/proxy"
)

// Effective returns c in the language of the configuration file, with every
// default written out. Parsing it gives an equal Config.
func (c *Config) Effective() []byte {
	root := block()
	if len(c.Nodes) > 0 {
		nodes := block()
		for _, n := range c.Nodes {
			put(nodes, n.Name, text(n.Address.String()))
		}
		put(root, "nodes", nodes)
	}
	cluster := block()
	if c.Cluster.KeyFile != "" {
		put(cluster, "key_file", text(c.Cluster.KeyFile))
	}
	put(cluster, "port", integer(c.Cluster.Port))
	put(root, "cluster", cluster)

	if len(c.VIPs) > 0 {
		vips := block()
		for _, v := range c.VIPs {
			put(vips, v.Name, v.effective(c.Nodes))
		}
		put(root, "vips", vips)
	}
	if len(c.Proxy.Listeners) > 0 {
		listeners := block()
		for _, l := range c.Proxy.Listeners {
			put(listeners, l.Name, effectiveListener(l))
		}
		put(root, "listeners", listeners)
	}
	if len(c.Proxy.Pools) > 0 {
		pools := block()
		for _, p := range c.Proxy.Pools {
			put(pools, p.Name, effectivePool(p))
		}
		put(root, "pools", pools)
	}
	admin := block()
	put(admin, "socket", text(c.Admin.Socket))
	put(root, "log", effectiveLog(c.Log, c.Proxy.Log))
	put(root, "admin", admin)
	return encode(root)
}

// Hash returns 12 hexadecimal digits that two configs share when they mean the
// same: neither comments, nor form, nor the order of maps, nor a default that
// is written out make a difference.
func (c *Config) Hash() string {
	canonical := *c
	canonical.Nodes = slices.SortedFunc(slices.Values(c.Nodes), func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	canonical.VIPs = slices.SortedFunc(slices.Values(c.VIPs), func(a, b VIP) int { return cmp.Compare(a.Name, b.Name) })
	canonical.Proxy.Listeners = slices.SortedFunc(slices.Values(c.Proxy.Listeners), func(a, b proxy.Listener) int { return cmp.Compare(a.Name, b.Name) })
	canonical.Proxy.Pools = slices.SortedFunc(slices.Values(c.Proxy.Pools), func(a, b proxy.Pool) int { return cmp.Compare(a.Name, b.Name) })
	sum := sha256.Sum256(canonical.Effective())
	return hex.EncodeToString(sum[:6])
}

func (v VIP) effective(nodes []Node) *yaml.Node {
	n := block()
	put(n, "addresses", line(v.Prefixes, netip.Prefix.String))
	if v.Interface != "" {
		put(n, "interface", text(v.Interface))
	}
	put(n, "router_id", integer(v.RouterID))
	put(n, "prefer", text(v.Prefer))
	priority := flow()
	for _, node := range nodes {
		if node.Name != v.Owner {
			put(priority, node.Name, integer(v.Priority[node.Name]))
		}
	}
	put(n, "priority", priority)
	put(n, "preempt", v.preemption())
	put(n, "advertise", text(formatDuration(v.Advertise)))
	put(n, "version", integer(v.Version))
	if v.hasChecksum() {
		put(n, "checksum", text(v.checksum()))
	}
	put(n, "unicast", boolean(v.Unicast))
	put(n, "virtual_mac", boolean(v.VirtualMAC))
	put(n, "group", text(v.Group))
	put(n, "track", v.Track.effective())
	put(n, "lease", text(formatDuration(v.Lease)))
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
	n := flow()
	if len(t.Interfaces) > 0 {
		put(n, "interfaces", line(t.Interfaces, strings.Clone))
	}
	if t.Gateway.IsValid() {
		put(n, "gateway", text(t.Gateway.String()))
	}
	put(n, "servers", boolean(t.Servers))
	return n
}

func (v VIP) preemption() *yaml.Node {
	if v.Preempt && v.PreemptDelay != warmUp {
		return text(formatDuration(v.PreemptDelay))
	}
	return boolean(v.Preempt)
}
