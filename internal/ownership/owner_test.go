package ownership

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/vmac"
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

// host is a fake that writes down what is done to it.
type host struct {
	has  map[netip.Prefix]bool
	did  []string
	errs map[string]error // by what is done
}

func (h *host) do(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	h.did = append(h.did, what)
	return h.errs[what]
}

// done returns what was done since it was asked last.
func (h *host) done() []string {
	did := h.did
	h.did = nil
	return did
}

func (h *host) Hold(ifname string, p netip.Prefix, lease time.Duration) (bool, error) {
	if err := h.do("hold %s on %s for %v", p.Addr(), ifname, lease); err != nil {
		return false, err
	}
	added := !h.has[p]
	h.has[p] = true
	return added, nil
}

func (h *host) Release(ifname string, p netip.Prefix) error {
	delete(h.has, p)
	return h.do("release %s on %s", p.Addr(), ifname)
}

func (h *host) Prepare(m vmac.Macvlan) error { return h.do("prepare %s", m.Name()) }
func (h *host) Up(m vmac.Macvlan) error      { return h.do("up %s", m.Name()) }
func (h *host) Down(m vmac.Macvlan) error    { return h.do("down %s", m.Name()) }
func (h *host) Remove(m vmac.Macvlan) error  { return h.do("remove %s", m.Name()) }

func (h *host) Announce(a netip.Addr) error { return h.do("announce %s", a) }
func (h *host) Probe(a netip.Addr) error    { return h.do("probe %s", a) }
func (h *host) Close() error                { return h.do("hang up") }

func newOwner() (*Owner, *host) {
	h := &host{has: map[netip.Prefix]bool{}, errs: map[string]error{}}
	return New(Host{
		Addresses: h, Macvlans: h,
		Sweep:         func([]netip.Prefix) ([]string, error) { return []string{"an address"}, h.do("sweep") },
		SweepMacvlans: func() ([]string, error) { return []string{"an interface"}, h.do("sweep interfaces") },
		AcceptLocal: func(ifname string) (func() error, error) {
			return func() error { return h.do("as before on %s", ifname) }, h.do("accept local on %s", ifname)
		},
		DialAnnouncer: func(o LinkOptions) (Announcer, error) { return h, h.do("dial %s", o.Interface) },
	}), h
}

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// expect fails unless exactly that was done.
func (h *host) expect(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, h.done()); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
}

// one returns the only fact.
func one(t *testing.T, facts []Fact) Fact {
	t.Helper()
	if len(facts) != 1 {
		t.Fatalf("%d facts, want one: %+v", len(facts), facts)
	}
	return facts[0]
}

func TestLifeOfAnAddress(t *testing.T) {
	o, h := newOwner()
	t.Log("# before anything is claimed, what an earlier process left behind goes")
	o.Set(Want{Router: main4})
	f := one(t, o.Work(at(start)))
	h.expect(t, "sweep interfaces", "sweep")
	if f.Err != nil || f.Held || f.Device != "eth0" || !slices.Equal(f.Swept, []string{"an interface", "an address"}) {
		t.Errorf("fact %+v", f)
	}

	t.Log("# claimed and announced")
	o.Set(Want{Router: main4, Hold: true, Generation: 1})
	o.Emit(Emission{Name: "main", Generation: 1, Frames: []Frame{{Addr: prefix.Addr()}, {Addr: prefix.Addr(), Probe: true}}})
	f = one(t, o.Work(at(start)))
	h.expect(t, "hold 192.0.2.100 on eth0 for 2s", "dial eth0", "announce 192.0.2.100", "probe 192.0.2.100")
	if !f.Held || !f.Added || !f.At.Equal(start) {
		t.Errorf("fact %+v", f)
	}

	t.Log("# nothing new: nothing is done")
	o.Set(Want{Router: main4, Hold: true, Generation: 1})
	o.Work(at(start))
	h.expect(t)

	t.Log("# renewed")
	o.Set(Want{Router: main4, Hold: true, Generation: 1, Renewal: 1})
	f = one(t, o.Work(at(start.Add(time.Second))))
	h.expect(t, "hold 192.0.2.100 on eth0 for 2s")
	if !f.Held || f.Added || !f.At.Equal(start.Add(time.Second)) {
		t.Errorf("fact %+v", f)
	}

	t.Log("# let go; what is still to be said of it is not")
	o.Set(Want{Router: main4, Generation: 2})
	o.Emit(Emission{Name: "main", Generation: 1, Frames: []Frame{{Addr: prefix.Addr()}}})
	f = one(t, o.Work(at(start)))
	h.expect(t, "release 192.0.2.100 on eth0", "hang up")
	if f.Held || f.Err != nil {
		t.Errorf("fact %+v", f)
	}
}

func TestWhatFailsIsTold(t *testing.T) {
	failure := errors.New("no")
	claim := Want{Router: main4, Hold: true, Generation: 1}
	word := Emission{Name: "main", Generation: 1, Frames: []Frame{{Addr: prefix.Addr()}}}
	for name, tc := range map[string]struct {
		fails string
		do    func(*Owner)
		held  bool
		then  []string // what is done when the same is wanted once more
	}{
		"an address cannot be set": {"hold 192.0.2.100 on eth0 for 2s", func(o *Owner) { o.Set(claim) }, false,
			[]string{"hold 192.0.2.100 on eth0 for 2s"}},
		"nothing can be swept": {"sweep", func(o *Owner) { o.Set(Want{Router: main4}) }, false, []string{"sweep"}},
		"nothing can be announced": {"dial eth0", func(o *Owner) { o.Set(claim); o.Work(at(start)); o.Emit(word) }, true,
			[]string{"dial eth0"}},
		"the announcement fails": {"announce 192.0.2.100", func(o *Owner) { o.Set(claim); o.Work(at(start)); o.Emit(word) }, true,
			[]string{"dial eth0", "announce 192.0.2.100", "hang up"}},
	} {
		t.Run(name, func(t *testing.T) {
			o, h := newOwner()
			h.errs[tc.fails] = failure
			tc.do(o)
			if f := one(t, o.Work(at(start))); !errors.Is(f.Err, failure) || f.Held != tc.held {
				t.Errorf("fact %+v", f)
			}
			h.done()
			if tc.held {
				o.Emit(word)
			} else {
				tc.do(o)
			}
			o.Work(at(start))
			h.expect(t, tc.then...)
		})
	}
}

func TestVirtualMACHasItsInterface(t *testing.T) {
	o, h := newOwner()
	r := main4
	r.VirtualMAC = true
	o.Set(Want{Router: r})
	f := one(t, o.Work(at(start)))
	device := f.Device
	h.expect(t, "sweep interfaces", "sweep", "prepare "+device)
	o.Set(Want{Router: r, Hold: true, Generation: 1})
	o.Work(at(start))
	h.expect(t, "up "+device, "hold 192.0.2.100 on "+device+" for 2s")
	o.Set(Want{Router: r, Generation: 2})
	o.Work(at(start))
	h.expect(t, "release 192.0.2.100 on "+device, "down "+device)
	o.Set(Want{Router: r, Discarded: true, Generation: 3})
	if facts := o.Work(at(start)); len(facts) > 0 {
		t.Errorf("a router that is gone is answered: %+v", facts)
	}
	h.expect(t, "remove "+device)
}

// A reload that gives a VIP its virtual MAC address, or takes it away, replaces the
// router under the same name, and the owner sees only what is wanted last.
func TestRouterOfAnotherConfigIsPrepared(t *testing.T) {
	o, h := newOwner()
	virtual := main4
	virtual.VirtualMAC = true
	device := deviceOf(virtual).Name()
	o.Set(Want{Router: main4, Hold: true, Generation: 1})
	o.Work(at(start))
	h.done()
	o.Set(Want{Router: main4, Discarded: true, Generation: 2})
	o.Set(Want{Router: virtual})
	if f := one(t, o.Work(at(start))); f.Device != device || f.Held {
		t.Errorf("told %+v", f)
	}
	h.expect(t, "release 192.0.2.100 on eth0", "sweep interfaces", "sweep", "prepare "+device)
	o.Set(Want{Router: virtual, Hold: true, Generation: 1})
	o.Work(at(start))
	h.done()
	o.Set(Want{Router: virtual, Discarded: true, Generation: 2})
	o.Set(Want{Router: main4})
	o.Work(at(start))
	h.expect(t, "release 192.0.2.100 on "+device, "down "+device, "sweep", "remove "+device)
}

// The addresses of a config that has changed are not those of before.
func TestOtherAddressesReplaceThoseThatAreHeld(t *testing.T) {
	o, h := newOwner()
	o.Set(Want{Router: main4, Hold: true, Generation: 1})
	o.Work(at(start))
	h.done()
	other := main4
	other.Prefixes = []netip.Prefix{netip.MustParsePrefix("192.0.2.101/24")}
	o.Set(Want{Router: other, Hold: true, Generation: 1})
	o.Work(at(start))
	h.expect(t, "release 192.0.2.100 on eth0", "hold 192.0.2.101 on eth0 for 2s")
}

func TestEndReleasesEverything(t *testing.T) {
	o, h := newOwner()
	r := main4
	r.OwnedElsewhere = true
	o.Set(Want{Router: r})
	o.Work(at(start))
	h.expect(t, "sweep interfaces", "sweep", "accept local on eth0")
	o.Set(Want{Router: r, Hold: true, Generation: 1})
	o.Work(at(start))
	h.done()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Run(ctx, func([]Fact) {}); err != nil {
		t.Fatal(err)
	}
	h.expect(t, "release 192.0.2.100 on eth0", "as before on eth0")
}

// Let go and claimed again between two looks of the owner: what it set for the first
// claim says nothing about the second.
func TestNewClaimIsSetAnew(t *testing.T) {
	o, h := newOwner()
	o.Set(Want{Router: main4, Hold: true, Generation: 1})
	o.Work(at(start))
	delete(h.has, prefix) // its lease ran out, say
	o.Set(Want{Router: main4, Generation: 2})
	o.Set(Want{Router: main4, Hold: true, Generation: 3})
	f := one(t, o.Work(at(start.Add(time.Minute))))
	if !f.Held || !f.At.Equal(start.Add(time.Minute)) || f.Generation != 3 {
		t.Errorf("fact %+v, want the address held from now on", f)
	}
	if !h.has[prefix] {
		t.Error("the kernel does not have the address")
	}
}
