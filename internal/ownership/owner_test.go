package ownership

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

var (
	start  = time.Unix(1_000_000, 0)
	prefix = netip.MustParsePrefix("192.0.2.100/24")
	main4  = ipc.Router{
		Name: "main", Interface: "eth0", Prefixes: []netip.Prefix{prefix}, Lease: 2 * time.Second,
		Params: vrrp.Params{VRID: 51, Self: netip.MustParseAddr("192.0.2.11"), Addresses: []netip.Addr{prefix.Addr()}},
	}
)

// kernel is the addresses of a host.
type kernel map[netip.Prefix]bool

func (k kernel) Hold(_ string, p netip.Prefix, _ time.Duration) (bool, error) {
	added := !k[p]
	k[p] = true
	return added, nil
}

func (k kernel) Release(_ string, p netip.Prefix) error {
	delete(k, p)
	return nil
}

func (k kernel) sweep([]netip.Prefix) ([]string, error) { return nil, nil }

func newOwner(k kernel) *Owner {
	return New(Host{Addresses: k, Sweep: k.sweep, SweepMacvlans: func() ([]string, error) { return nil, nil }})
}

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// Let go and claimed again between two looks of the owner: what it set for the first
// claim says nothing about the second.
func TestNewClaimIsSetAnew(t *testing.T) {
	k := kernel{}
	o := newOwner(k)
	o.Set(Want{Router: main4, Hold: true, Generation: 1})
	o.Work(at(start))
	delete(k, prefix) // its lease ran out, say
	o.Set(Want{Router: main4, Generation: 2})
	o.Set(Want{Router: main4, Hold: true, Generation: 3})
	facts := o.Work(at(start.Add(time.Minute)))
	if len(facts) != 1 || !facts[0].Held || !facts[0].At.Equal(start.Add(time.Minute)) || facts[0].Generation != 3 {
		t.Errorf("facts %+v, want the address held from now on", facts)
	}
	if !k[prefix] {
		t.Error("the kernel does not have the address")
	}
}
