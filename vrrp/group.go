// Placeholder so that the driver compiles: whoever lands the real Group, ChecksumFor
// and Destinations deletes this file.
package vrrp

import (
	"net/netip"
	"time"
)

func (r *Router) ChecksumFor(netip.Addr) ChecksumForm { return r.checksum }
func (r *Router) Destinations() []netip.Addr {
	return []netip.Addr{netip.AddrFrom4([4]byte{224, 0, 0, 18})}
}

type Group struct{ n int }

func NewGroup(r ...*Router) *Group                { return &Group{len(r)} }
func (g *Group) Settle(now time.Time) []Output { return make([]Output, g.n) }
