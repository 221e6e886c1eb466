package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tandemlb/tandem/proxy"
)

// Hash returns 12 hexadecimal digits that two configs share when they mean the
// same: neither comments, nor form, nor the order of maps, nor a default that
// is written out make a difference.
//
// It is taken of the values, not of Effective, which takes longer to write for a large
// config than everything else that a reload does.
func (c *Config) Hash() string {
	canonical := *c
	canonical.Nodes = byName(c.Nodes, func(n Node) string { return n.Name })
	canonical.VIPs = byName(c.VIPs, func(v VIP) string { return v.Name })
	canonical.Proxy.Listeners = byName(c.Proxy.Listeners, func(l proxy.Listener) string { return l.Name })
	canonical.Proxy.Pools = byName(c.Proxy.Pools, func(p proxy.Pool) string { return p.Name })
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(canonical); err != nil {
		panic(fmt.Sprintf("config: encode own values: %v", err))
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// byName returns a copy of list in the order of the names.
func byName[T any](list []T, name func(T) string) []T {
	return slices.SortedFunc(slices.Values(list), func(a, b T) int { return cmp.Compare(name(a), name(b)) })
}
