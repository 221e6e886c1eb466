// Package ownership brings the virtual addresses of the kernel to what the election
// wants, and says on the link what there is to be said of them.
package ownership

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/vmac"
)

// Want is what the election wants of the addresses of one virtual router. The
// owner compares it with the want it acted on last; it does nothing on its own,
// because only the core knows whether this node still is the owner: after a stall
// it may not be.
type Want struct {
	Router     ipc.Router
	Hold       bool
	Discarded  bool   // the config has no such router any more
	Generation uint64 // grows with each change of Hold
	Renewal    uint64 // grows whenever the lease is to be renewed
}

// Frame is something to be sent about an address.
type Frame struct {
	Addr  netip.Addr
	Probe bool // a question who else has it; else an announcement
}

// Emission is what is to be sent about the addresses of a virtual router, if the
// owner still is at that generation.
type Emission struct {
	Name       string // of the router
	Generation uint64
	Frames     []Frame
}

// Fact is what the owner tells the election about one virtual router.
type Fact struct {
	Name       string    // of the router
	Generation uint64    // of the Want that this answers
	Held       bool      // all addresses are in the kernel
	At         time.Time // when they were last seen to be so
	Added      bool      // one of them was missing
	Swept      []string  // what an earlier process had left behind
	Device     string    // while nothing is held: the interface on which the addresses will live
	Err        error
}

// Host is what an Owner needs of the machine. Only its goroutine uses it.
type Host struct {
	// Sweep removes the addresses that an earlier process of ours left behind. One
	// that is not ours, because it has no lease, is an error.
	Sweep     func([]netip.Prefix) (removed []string, err error)
	Addresses Addresses
	Macvlans  Macvlans
	// SweepMacvlans removes the interfaces that an earlier process left behind.
	SweepMacvlans func() (removed []string, err error)
	// AcceptLocal lets the host receive, on an interface, packets whose source is an
	// address of its own; restore ends it.
	AcceptLocal func(ifname string) (restore func() error, err error)
	// DialAnnouncer opens what announces addresses on a link.
	DialAnnouncer func(LinkOptions) (Announcer, error)
}

// LinkOptions says where, and as whom, addresses are announced.
type LinkOptions struct {
	Interface string
	Virtual   MAC
}

// Addresses are the addresses of the host's interfaces.
type Addresses interface {
	// Hold adds the address or renews its lease; added reports whether it was
	// not there before.
	Hold(ifname string, p netip.Prefix, lease time.Duration) (added bool, err error)
	// Release removes the address. It is no error when it is not there.
	Release(ifname string, p netip.Prefix) error
}

// Macvlans makes the interfaces that have the MAC address of a virtual router; see
// vmac.Macvlans.
type Macvlans interface {
	Prepare(vmac.Macvlan) error
	Up(vmac.Macvlan) error
	Down(vmac.Macvlan) error
	Remove(vmac.Macvlan) error
}

// Announcer tells the neighbours on a link that this host has an address.
type Announcer interface {
	Announce(addr netip.Addr) error
	// Probe asks who else has the address.
	Probe(addr netip.Addr) error
	Close() error
}

// Owner brings the addresses of the kernel to what the election wants, and sends
// what it is told about them. It has a goroutine of its own, because netlink may
// wait for a lock of the kernel and the heartbeat must not.
type Owner struct {
	host  Host
	wakeC chan struct{} // capacity 1: wants or emissions has changed

	mu    sync.Mutex
	asked requests

	// Owned by whoever calls Work.
	taken      requests // emptied, to be used again
	swept      bool     // nothing of an earlier process is left but addresses
	holdings   map[string]*holding
	devices    map[string]vmac.Macvlan // by name of the router
	accepting  map[string]func() error // by interface; ends AcceptLocal
	announcers map[LinkOptions]Announcer
}

// requests are what the owner is asked to do and has not done.
type requests struct {
	wants     []Want         // in the order of asking, one of a router
	index     map[string]int // of wants, by name
	emissions []Emission
}

func (r *requests) set(w Want) {
	i, ok := r.index[w.Router.Name]
	if !ok {
		r.index[w.Router.Name] = len(r.wants)
		r.wants = append(r.wants, w)
		return
	}
	r.wants[i] = w
}

func (r *requests) clear() {
	clear(r.index)
	clear(r.wants) // what they refer to is not to be kept alive
	clear(r.emissions)
	r.wants, r.emissions = r.wants[:0], r.emissions[:0]
}

// holding is what the owner has done for one virtual router.
type holding struct {
	want Want
	held bool
	at   time.Time
}

// New returns an Owner, which holds nothing.
func New(h Host) *Owner {
	return &Owner{
		host:       h,
		wakeC:      make(chan struct{}, 1),
		asked:      requests{index: map[string]int{}},
		taken:      requests{index: map[string]int{}},
		holdings:   map[string]*holding{},
		devices:    map[string]vmac.Macvlan{},
		accepting:  map[string]func() error{},
		announcers: map[LinkOptions]Announcer{},
	}
}

// Set tells the owner what the election wants. It never blocks.
func (o *Owner) Set(w Want) {
	o.mu.Lock()
	o.asked.set(w)
	o.mu.Unlock()
	o.wake()
}

// Emit has the owner send something. It never blocks.
func (o *Owner) Emit(e Emission) {
	o.mu.Lock()
	o.asked.emissions = append(o.asked.emissions, e)
	o.mu.Unlock()
	o.wake()
}

func (o *Owner) wake() {
	select {
	case o.wakeC <- struct{}{}:
	default:
	}
}

// Run works until ctx is done, and tells what became of it; then it releases every
// address it holds.
func (o *Owner) Run(ctx context.Context, tell func([]Fact)) error {
	for {
		select {
		case <-ctx.Done():
			return o.close()
		case <-o.wakeC:
		}
		if facts := o.Work(time.Now); len(facts) > 0 {
			tell(facts)
		}
	}
}

// Work does all that is wanted, and returns what became of it. Run does this; who
// does not run the Owner calls it instead, with a clock of his own.
func (o *Owner) Work(now func() time.Time) []Fact {
	o.mu.Lock()
	o.asked, o.taken = o.taken, o.asked
	o.mu.Unlock()
	defer o.taken.clear()
	var facts []Fact
	for _, w := range o.taken.wants {
		if f, ok := o.reconcile(w.Router.Name, w, now); ok {
			facts = append(facts, f)
		}
	}
	for _, e := range o.taken.emissions {
		if err := o.send(e); err != nil {
			h := o.holdings[e.Name]
			facts = append(facts, Fact{Name: e.Name, Generation: e.Generation, Held: h.held, At: h.at, Err: err})
		}
	}
	return facts
}

// reconcile does what is new in w; there is no answer to a router that is
// discarded.
func (o *Owner) reconcile(name string, w Want, now func() time.Time) (f Fact, ok bool) {
	h := o.holdings[name]
	if h != nil && (!w.Hold || !sameAddresses(h.want.Router, w.Router)) {
		err := o.release(name)
		// One of another config may come while that of before still holds: of what
		// is wanted in between nothing is seen here.
		if !w.Hold && !w.Discarded && sameAddresses(h.want.Router, w.Router) {
			return Fact{Name: name, Generation: w.Generation, Err: err}, true
		}
		h = nil
	}
	switch {
	case w.Discarded:
		o.removeDevice(name)
		return Fact{}, false
	case !w.Hold:
		return o.prepare(name, w), true
	case h == nil:
		h = &holding{}
		o.holdings[name] = h
	}
	before := h.want
	h.want = w
	f = Fact{Name: name, Generation: w.Generation, Held: h.held, At: h.at}
	// Let go and claimed again within one look: it may have been lost meanwhile.
	if !h.held || w.Renewal != before.Renewal || w.Generation != before.Generation {
		f = o.hold(h, now)
	}
	return f, true
}

func sameAddresses(a, b ipc.Router) bool {
	return holdsOn(a) == holdsOn(b) && slices.Equal(a.Prefixes, b.Prefixes)
}

// prepare makes the host ready for a router that holds nothing yet.
func (o *Owner) prepare(name string, w Want) Fact {
	f := Fact{Name: name, Generation: w.Generation}
	if !o.swept {
		removed, err := o.host.SweepMacvlans()
		if f.Swept = removed; err != nil {
			f.Err = err
			return f
		}
		o.swept = true
	}
	removed, err := o.host.Sweep(w.Router.Prefixes)
	f.Swept = append(f.Swept, removed...)
	if err == nil {
		err = o.acceptOwner(w.Router)
	}
	if err == nil {
		f.Device, err = o.addDevice(name, w.Router)
	}
	f.Err = err
	return f
}

// acceptOwner sees to it that the owner of one of the addresses is heard when it
// comes back while this host has the address: the kernel takes a packet from an
// address of its own for a forgery.
func (o *Owner) acceptOwner(r ipc.Router) error {
	if !r.OwnedElsewhere || o.accepting[r.Interface] != nil {
		return nil
	}
	restore, err := o.host.AcceptLocal(r.Interface)
	if err != nil {
		return err
	}
	o.accepting[r.Interface] = restore
	return nil
}

// hold sets the addresses or renews their lease.
func (o *Owner) hold(h *holding, now func() time.Time) Fact {
	r := h.want.Router
	f := Fact{Name: r.Name, Generation: h.want.Generation}
	var errs []error
	if !h.held {
		errs = append(errs, o.setUp(r.Name, true))
	}
	ifname := holdsOn(r)
	for _, p := range r.Prefixes {
		added, err := o.host.Addresses.Hold(ifname, p, r.Lease)
		if err != nil {
			errs = append(errs, err)
		}
		f.Added = f.Added || added
	}
	if f.Err = errors.Join(errs...); f.Err == nil {
		h.held, h.at = true, now()
	}
	f.Held, f.At = h.held, h.at
	return f
}

// release removes the addresses of a virtual router. What cannot be removed
// goes by itself when its lease ends.
func (o *Owner) release(name string) error {
	r := o.holdings[name].want.Router
	ifname := holdsOn(r)
	var errs []error
	for _, p := range r.Prefixes {
		if err := o.host.Addresses.Release(ifname, p); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, o.setUp(name, false))
	delete(o.holdings, name)
	if link := linkOf(r); !o.announces(link) {
		o.hangUp(link)
	}
	return errors.Join(errs...)
}

// announces reports whether addresses are held that are announced there.
func (o *Owner) announces(link LinkOptions) bool {
	for _, h := range o.holdings {
		if linkOf(h.want.Router) == link {
			return true
		}
	}
	return false
}

func linkOf(r ipc.Router) LinkOptions {
	return LinkOptions{Interface: r.Interface, Virtual: VirtualMAC(r)}
}

// send sends what e says, unless the addresses are not those of then. After an
// error the socket is opened anew for the next announcement of the schedule.
func (o *Owner) send(e Emission) error {
	h := o.holdings[e.Name]
	if h == nil || !h.held || h.want.Generation != e.Generation {
		return nil
	}
	link := linkOf(h.want.Router)
	a := o.announcers[link]
	if a == nil {
		var err error
		if a, err = o.host.DialAnnouncer(link); err != nil {
			return fmt.Errorf("announce addresses: %w", err)
		}
		o.announcers[link] = a
	}
	for _, f := range e.Frames {
		say := a.Announce
		if f.Probe {
			say = a.Probe
		}
		if err := say(f.Addr); err != nil {
			o.hangUp(link)
			return err
		}
	}
	return nil
}

func (o *Owner) hangUp(link LinkOptions) {
	if a := o.announcers[link]; a != nil {
		a.Close()
		delete(o.announcers, link)
	}
}

func (o *Owner) close() error {
	var errs []error
	for name := range o.holdings {
		errs = append(errs, o.release(name))
	}
	for name := range o.devices {
		errs = append(errs, o.removeDevice(name))
	}
	for _, restore := range o.accepting {
		errs = append(errs, restore())
	}
	return errors.Join(errs...)
}
