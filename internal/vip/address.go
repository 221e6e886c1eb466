package vip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// forever is the lifetime of a permanent address.
const forever = 1<<32 - 1

// address is an address as the kernel describes it.
type address struct {
	index   int    // of its interface
	ifname  string // empty for IPv6: the kernel does not name it
	prefix  netip.Prefix
	flags   uint32 // IFA_F_...
	valid   uint32 // seconds left, or forever
	created uint32 // when it was added, in hundredths of a second since boot
	updated uint32 // when its lifetime was last set, likewise
}

// newAddress returns the rtnetlink request about the address p of an interface.
func newAddress(msgType, flags, index int, p netip.Prefix) *nl.NetlinkRequest {
	msg := nl.NewIfAddrmsg(family(p))
	msg.Prefixlen = uint8(p.Bits())
	msg.Index = uint32(index)
	req := nl.NewNetlinkRequest(msgType, flags)
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, p.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, p.Addr().AsSlice()))
	return req
}

func family(p netip.Prefix) int {
	if p.Addr().Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// lifetimes is the attribute that gives an address so many seconds.
func lifetimes(valid, preferred uint32) *nl.RtAttr {
	info := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{Prefered: preferred, Valid: valid}}
	return nl.NewRtAttr(unix.IFA_CACHEINFO, info.Serialize())
}

// parseAddress reads the message of an RTM_NEWADDR or RTM_DELADDR.
func parseAddress(b []byte) (address, error) {
	// The attributes of netlink are padded to 4 bytes; the parser relies on it.
	if len(b) < unix.SizeofIfAddrmsg || len(b)%unix.NLMSG_ALIGNTO != 0 {
		return address{}, fmt.Errorf("address message of %d bytes", len(b))
	}
	msg := nl.DeserializeIfAddrmsg(b)
	attrs, err := nl.ParseRouteAttr(b[unix.SizeofIfAddrmsg:])
	if err != nil {
		return address{}, fmt.Errorf("attributes of an address on interface %d: %w", msg.Index, err)
	}
	a := address{index: int(msg.Index), flags: uint32(msg.Flags), valid: forever}
	var local, remote netip.Addr
	for _, attr := range attrs {
		switch attr.Attr.Type {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(attr.Value)
		case unix.IFA_ADDRESS:
			remote, _ = netip.AddrFromSlice(attr.Value)
		case unix.IFA_LABEL:
			// An alias label continues the name after a colon.
			a.ifname, _, _ = strings.Cut(unix.ByteSliceToString(attr.Value), ":")
		case unix.IFA_CACHEINFO:
			if len(attr.Value) < unix.SizeofIfaCacheinfo {
				return address{}, fmt.Errorf("lifetime of %d bytes", len(attr.Value))
			}
			a.valid = binary.NativeEndian.Uint32(attr.Value[4:])
			a.created = binary.NativeEndian.Uint32(attr.Value[8:])
			a.updated = binary.NativeEndian.Uint32(attr.Value[12:])
		}
	}
	// IPv6 has IFA_LOCAL only where another address is at the other end.
	if msg.Family == unix.AF_INET6 && !local.IsValid() {
		local = remote
	}
	a.prefix = netip.PrefixFrom(local, int(msg.Prefixlen))
	if !a.prefix.IsValid() {
		return address{}, fmt.Errorf("no address with %d bits of network in the message", msg.Prefixlen)
	}
	return a, nil
}

// interfaceName asks for the name of an interface; it is empty when there is no
// such interface any more.
func interfaceName(s *nl.NetlinkSocket, index int) string {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return ""
	}
	ifr.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(s.GetFd(), unix.SIOCGIFNAME, ifr); err != nil {
		return ""
	}
	return ifr.Name()
}
