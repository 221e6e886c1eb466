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
// because only the election loop knows whether this node still is the owner:
// after a stall it may not be.
type want struct {
	router     ipc.Router
	hold       bool
	generation uint64 // grows with each change of hold
	renewal    uint64 // grows whenever the lease is to be renewed
	announce   uint64 // grows whenever the addresses are to be announced
}

// fact is what the owner tells the loop about one virtual router.
type fact struct {
	name       string
	generation uint64    // of the want that this answers
	held       bool      // all addresses are in the kernel
	at         time.Time // when they were last seen to be so
	added      bool      // one of them was missing
	swept      []string  // what an earlier process had left behind
	err        error
}

// gone is an address that has disappeared from an interface.
type gone struct {
	ifname string
	prefix netip.Prefix
}

// owner brings the addresses of the kernel to what the election wants, and
// announces them. It has a goroutine of its own, because netlink may wait for a
// lock of the kernel and the heartbeat must not.
type owner struct {
	host   Host
	factsC chan fact     // read by the loop in every turn
	wakeC  chan struct{} // capacity 1: wants has changed

	mu    sync.Mutex
	wants map[string]want // by name; taken away by Run

	// Owned by Run.
	holdings map[string]*holding
	arps     map[string]Announcer // by interface
}

// holding is what the owner has done for one virtual router.
type holding struct {
	want want
	held bool
	at   time.Time
}

func newOwner(h Host) *owner {
	return &owner{
		host:     h,
		factsC:   make(chan fact, 64),
		wakeC:    make(chan struct{}, 1),
		wants:    map[string]want{},
		holdings: map[string]*holding{},
		arps:     map[string]Announcer{},
	}
}

// set tells the owner what the election wants. It never blocks.
func (o *owner) set(w want) {
	o.mu.Lock()
	o.wants[w.router.Name] = w
	o.mu.Unlock()
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
		o.mu.Lock()
		wants := o.wants
		o.wants = map[string]want{}
		o.mu.Unlock()
		for name, w := range wants {
			select {
			case o.factsC <- o.reconcile(name, w):
			case <-ctx.Done():
			}
		}
	}
}

// reconcile does what is new in w.
func (o *owner) reconcile(name string, w want) fact {
	h := o.holdings[name]
	if h != nil && (!w.hold || !sameAddresses(h.want.router, w.router)) {
		err := o.release(name)
		if !w.hold {
			return fact{name: name, generation: w.generation, err: err}
		}
		h = nil
	}
	if !w.hold {
		removed, err := o.host.Sweep(w.router.Prefixes)
		return fact{name: name, generation: w.generation, swept: removed, err: err}
	}
	if h == nil {
		h = &holding{}
		o.holdings[name] = h
	}
	before := h.want
	h.want = w
	f := fact{name: name, generation: w.generation, held: h.held, at: h.at}
	if !h.held || w.renewal != before.renewal {
		f = o.hold(h)
	}
	if h.held && w.announce != before.announce {
		f.err = errors.Join(f.err, o.announce(w.router))
	}
	return f
}

func sameAddresses(a, b ipc.Router) bool {
	return a.Interface == b.Interface && slices.Equal(a.Prefixes, b.Prefixes)
}

// hold sets the addresses or renews their lease.
func (o *owner) hold(h *holding) fact {
	r := h.want.router
	f := fact{name: r.Name, generation: h.want.generation}
	var errs []error
	for _, p := range r.Prefixes {
		added, err := o.host.Addresses.Hold(r.Interface, p, r.Lease)
		if err != nil {
			errs = append(errs, err)
		}
		f.added = f.added || added
	}
	if f.err = errors.Join(errs...); f.err == nil {
		h.held, h.at = true, time.Now()
	}
	f.held, f.at = h.held, h.at
	return f
}

// release removes the addresses of a virtual router. What cannot be removed
// goes by itself when its lease ends.
func (o *owner) release(name string) error {
	r := o.holdings[name].want.router
	var errs []error
	for _, p := range r.Prefixes {
		if err := o.host.Addresses.Release(r.Interface, p); err != nil {
			errs = append(errs, err)
		}
	}
	delete(o.holdings, name)
	if !slices.ContainsFunc(o.interfaces(), func(s string) bool { return s == r.Interface }) {
		o.hangUp(r.Interface)
	}
	return errors.Join(errs...)
}

func (o *owner) interfaces() []string {
	var all []string
	for _, h := range o.holdings {
		all = append(all, h.want.router.Interface)
	}
	return all
}

// announce sends one announcement for each address. After an error the socket
// is opened anew for the next announcement of the schedule.
func (o *owner) announce(r ipc.Router) error {
	arp := o.arps[r.Interface]
	if arp == nil {
		var err error
		if arp, err = o.host.DialARP(r.Interface); err != nil {
			return fmt.Errorf("announce addresses: %w", err)
		}
		o.arps[r.Interface] = arp
	}
	for _, p := range r.Prefixes {
		if err := arp.Announce(p.Addr()); err != nil {
			o.hangUp(r.Interface)
			return err
		}
	}
	return nil
}

func (o *owner) hangUp(ifname string) {
	if arp := o.arps[ifname]; arp != nil {
		arp.Close()
		delete(o.arps, ifname)
	}
}

func (o *owner) close() error {
	var errs []error
	for name := range o.holdings {
		errs = append(errs, o.release(name))
	}
	return errors.Join(errs...)
}
