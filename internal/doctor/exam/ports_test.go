package exam

import (
	"net"
	"net/netip"
	"testing"

	"github.com/tandemlb/tandem/internal/doctor"
)

// A port is tried as a node would bind it: every address of IPv4 is none of IPv6.
func TestPortOfOneFamily(t *testing.T) {
	other, err := net.Listen("tcp6", "[::]:0")
	if err != nil {
		t.Skip(err)
	}
	defer other.Close()
	port := uint16(other.Addr().(*net.TCPAddr).Port)
	if err := try(t.Context(), doctor.Port{Bind: netip.AddrPortFrom(netip.IPv4Unspecified(), port)}); err != nil {
		t.Errorf("of IPv4: %v", err)
	}
	if err := try(t.Context(), doctor.Port{Bind: netip.AddrPortFrom(netip.IPv6Unspecified(), port)}); err == nil {
		t.Error("what another has can be bound")
	}
}
