package udp

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/labtest"
	"github.com/tandemlb/tandem/proxy/udp/mmsg"
)

// A node that has run out of ports must not take its servers for dead.
func TestWantOfPortsIsTheHostsOwn(t *testing.T) {
	const ports = 4
	l := labtest.New(t, lab.HostSpec{Name: "lb", Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24")}})
	servers := []netip.AddrPort{netip.MustParseAddrPort("10.9.0.2:53"), netip.MustParseAddrPort("10.9.0.3:53")}
	if err := l.Host("lb").Do(func() error {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", fmt.Appendf(nil, "40000 %d", 40000+ports-1), 0o644); err != nil {
			return err
		}
		for n := range ports + 1 {
			fd, err := mmsg.Connect(servers[n%len(servers)])
			if err == nil {
				defer unix.Close(int(fd))
			}
			if want := n == ports; lacking(err) != want {
				return fmt.Errorf("socket %d of %d ports: %v, lacking %v; want %v", n+1, ports, err, lacking(err), want)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
