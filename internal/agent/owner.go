package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
)

// want is what the election wants of the addresses of one virtual router. The
// owner compares it with the want it acted on last; it does nothing on its own,
// because only the core knows whether this node still is the owner: after a stall
// it may not be.
type want struct {
	router     ipc.Router
	hold       bool
	discarded  bool   // the config has no such router any more
	generation uint64 // grows with each change of hold
	renewal    uint64 // grows whenever the lease is to be renewed
}

// emission is what is to be sent about the addresses of a virtual router, if the
// owner still is at that generation.
type emission struct {
	name       string
	generation uint64
	frames     []frame
}

// fact is what the owner tells the core about one virtual router.
type fact struct {
	name       string
	generation uint64    // of the want that this answers
	held       bool      // all addresses are in the kernel
	at         time.Time // when they were last seen to be so
	added      bool      // one of them was missing
	swept      []string  // what an earlier process had left behind
	device     string    // with swept: the interface on which the addresses live
	err        error
}

// gone is an address that has disappeared from an interface.
type gone struct {
	ifname string
	prefix netip.Prefix
}

// owner brings the addresses of the kernel to what the election wants, and sends
// what it is told about them. It has a goroutine of its own, because netlink may
// wait for a lock of the kernel and the heartbeat must not.
type owner struct {
	host   Host
	factsC chan fact     // read by the loop in every turn
	wakeC  chan struct{} // capacity 1: wants or emissions has changed

	mu        sync.Mutex
	wants     map[string]want // by name; taken away by run
	emissions []emission      // likewise

	// Owned by run.
	swept      bool // nothing of an earlier process is left but addresses
	holdings   map[string]*holding
	devices    map[string]device // by name of the router
	announcers map[LinkOptions]Announcer
}

// holding is what the owner has done for one virtual router.
type holding struct {
	want want
	held bool
	at   time.Time
}

func newOwner(h Host) *owner {
	return &owner{
		host:       h,
		factsC:     make(chan fact, 64),
		wakeC:      make(chan struct{}, 1),
		wants:      map[string]want{},
		holdings:   map[string]*holding{},
		devices:    map[string]device{},
		announcers: map[LinkOptions]Announcer{},
	}
}

// set tells the owner what the election wants. It never blocks.
func (o *owner) set(w want) {
	o.mu.Lock()
	o.wants[w.router.Name] = w
	o.mu.Unlock()
	o.wake()
}

// emit has the owner send something. It never blocks.
func (o *owner) emit(e emission) {
	o.mu.Lock()
	o.emissions = append(o.emissions, e)
	o.mu.Unlock()
	o.wake()
}

func (o *owner) wake() {
	select {
	case o.wakeC <- struct{}{}:
	default:
	}
}

// run works until ctx is done, and then releases every address it holds.
func (o *owner) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return o.close()
		case <-o.wakeC:
		}
		for _, f := range o.work(time.Now) {
			select {
			case o.factsC <- f:
			case <-ctx.Done():
			}
		}
	}
}

// work does all that is wanted, and returns what became of it.
func (o *owner) work(now func() time.Time) []fact {
	o.mu.Lock()
	wants, emissions := o.wants, o.emissions
	o.wants, o.emissions = map[string]want{}, nil
	o.mu.Unlock()
	var facts []fact
	for name, w := range wants {
		if f, ok := o.reconcile(name, w, now); ok {
			facts = append(facts, f)
		}
	}
	for _, e := range emissions {
		if err := o.send(e); err != nil {
			h := o.holdings[e.name]
			facts = append(facts, fact{name: e.name, generation: e.generation, held: h.held, at: h.at, err: err})
		}
	}
	return facts
}

// reconcile does what is new in w; there is no answer to a router that is
// discarded.
func (o *owner) reconcile(name string, w want, now func() time.Time) (f fact, ok bool) {
	h := o.holdings[name]
	if h != nil && (!w.hold || !sameAddresses(h.want.router, w.router)) {
		err := o.release(name)
		if !w.hold && !w.discarded {
			return fact{name: name, generation: w.generation, err: err}, true
		}
		h = nil
	}
	switch {
	case w.discarded:
		o.removeDevice(name)
		return fact{}, false
	case !w.hold:
		return o.prepare(name, w), true
	case h == nil:
		h = &holding{}
		o.holdings[name] = h
	}
	before := h.want
	h.want = w
	f = fact{name: name, generation: w.generation, held: h.held, at: h.at}
	if !h.held || w.renewal != before.renewal {
		f = o.hold(h, now)
	}
	return f, true
}

func sameAddresses(a, b ipc.Router) bool {
	return deviceOf(a) == deviceOf(b) && slices.Equal(a.Prefixes, b.Prefixes)
}

// prepare makes the host ready for a router that holds nothing yet.
func (o *owner) prepare(name string, w want) fact {
	f := fact{name: name, generation: w.generation}
	if !o.swept {
		removed, err := o.host.Macvlans.Sweep()
		if f.swept = removed; err != nil {
			f.err = err
			return f
		}
		o.swept = true
	}
	removed, err := o.host.Sweep(w.router.Prefixes)
	f.swept = append(f.swept, removed...)
	if err == nil {
		f.device, err = o.addDevice(name, w.router)
	}
	f.err = err
	return f
}

// hold sets the addresses or renews their lease.
func (o *owner) hold(h *holding, now func() time.Time) fact {
	r := h.want.router
	f := fact{name: r.Name, generation: h.want.generation}
	var errs []error
	if !h.held {
		errs = append(errs, o.setUp(r.Name, true))
	}
	ifname := o.holdsOn(r)
	for _, p := range r.Prefixes {
		added, err := o.host.Addresses.Hold(ifname, p, r.Lease)
		if err != nil {
			errs = append(errs, err)
		}
		f.added = f.added || added
	}
	if f.err = errors.Join(errs...); f.err == nil {
		h.held, h.at = true, now()
	}
	f.held, f.at = h.held, h.at
	return f
}

// release removes the addresses of a virtual router. What cannot be removed
// goes by itself when its lease ends.
func (o *owner) release(name string) error {
	r := o.holdings[name].want.router
	ifname := o.holdsOn(r)
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
func (o *owner) announces(link LinkOptions) bool {
	for _, h := range o.holdings {
		if linkOf(h.want.router) == link {
			return true
		}
	}
	return false
}

func linkOf(r ipc.Router) LinkOptions {
	o := LinkOptions{Interface: r.Interface}
	if r.VirtualMAC {
		o.Virtual = virtualMAC(r.Params)
	}
	return o
}

// send sends what e says, unless the addresses are not those of then. After an
// error the socket is opened anew for the next announcement of the schedule.
func (o *owner) send(e emission) error {
	h := o.holdings[e.name]
	if h == nil || !h.held || h.want.generation != e.generation {
		return nil
	}
	link := linkOf(h.want.router)
	a := o.announcers[link]
	if a == nil {
		var err error
		if a, err = o.host.DialAnnouncer(link); err != nil {
			return fmt.Errorf("announce addresses: %w", err)
		}
		o.announcers[link] = a
	}
	for _, f := range e.frames {
		say := a.Announce
		if f.probe {
			say = a.Probe
		}
		if err := say(f.addr); err != nil {
			o.hangUp(link)
			return err
		}
	}
	return nil
}

func (o *owner) hangUp(link LinkOptions) {
	if a := o.announcers[link]; a != nil {
		a.Close()
		delete(o.announcers, link)
	}
}

func (o *owner) close() error {
	var errs []error
	for name := range o.holdings {
		errs = append(errs, o.release(name))
	}
	for name := range o.devices {
		errs = append(errs, o.removeDevice(name))
	}
	return errors.Join(errs...)
}
