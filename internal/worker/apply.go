package worker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/otlp"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure"
)

// plan is a config with everything done that can fail, and nothing live touched.
type plan struct {
	config    ipc.WorkerConfig
	now       time.Time
	pools     []*pool
	byName    map[string]*pool
	listeners []planned
}

// planned is one listener of a plan.
type planned struct {
	spec   proxy.Listener
	terms  *secure.Terms // of TLS with clients; nil: without
	old    *listener     // that goes on; nil when there is none
	use    func()        // makes old go by spec
	fresh  service       // without old
	opened map[netip.AddrPort]bind
}

// apply makes the worker serve what c says. On an error it serves what it served
// before.
func (w *worker) apply(c ipc.WorkerConfig, now time.Time) error {
	if w.draining() {
		return errors.New("the worker is draining")
	}
	p := &plan{config: c, now: now, byName: make(map[string]*pool, len(c.Spec.Pools))}
	if err := w.prepare(p, c.Spec); err != nil {
		return err
	}
	w.commit(p)
	return nil
}

func (w *worker) prepare(p *plan, spec proxy.Spec) error {
	old := make(map[string]*pool, len(w.pools))
	for _, pool := range w.pools {
		old[pool.name()] = pool
	}
	for _, s := range spec.Pools {
		if p.byName[s.Name] != nil {
			return fmt.Errorf("pool %q is defined twice", s.Name)
		}
		pool, err := w.newPool(s, old[s.Name], p)
		if err != nil {
			return err
		}
		p.pools = append(p.pools, pool)
		p.byName[s.Name] = pool
	}
	for _, s := range spec.Listeners {
		if slices.ContainsFunc(p.listeners, func(l planned) bool { return l.spec.Name == s.Name }) {
			return fmt.Errorf("listener %q is defined twice", s.Name)
		}
		l := planned{spec: s, opened: make(map[netip.AddrPort]bind)}
		p.listeners = append(p.listeners, l)
		if err := w.prepareListener(p, &p.listeners[len(p.listeners)-1]); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) prepareListener(p *plan, l *planned) (err error) {
	v, err := p.served(l)
	if err != nil {
		return err
	}
	v.stats = w.stats
	i := slices.IndexFunc(w.listeners, func(old *listener) bool {
		return old.spec.Name == l.spec.Name && old.spec.Protocol == l.spec.Protocol
	})
	if i >= 0 {
		l.old = w.listeners[i]
	}
	if l.terms, err = w.newTerms(l, p.config.Files); err != nil {
		return fmt.Errorf("listener %q: TLS: %w", l.spec.Name, err)
	}
	v.terms = l.terms
	if l.old != nil {
		l.use, err = l.old.service.prepare(v)
	} else {
		l.fresh, err = w.newService(v)
	}
	if err != nil {
		return fmt.Errorf("listener %q: %w", l.spec.Name, err)
	}
	for _, addr := range l.spec.Bind {
		s := w.sockets[ipc.Socket{Listener: l.spec.Name, Bind: addr, UDP: l.spec.Protocol == proxy.UDP}]
		if s == nil {
			return fmt.Errorf("listener %q: no socket was handed over for %s", l.spec.Name, addr)
		}
		if l.old != nil && l.old.binds[addr].socket == s || l.opened[addr].socket == s {
			continue
		}
		if err := s.check(l.spec.Protocol == proxy.UDP); err != nil {
			return fmt.Errorf("listener %q on %s: %w", l.spec.Name, addr, err)
		}
		l.opened[addr] = bind{socket: s}
	}
	return nil
}

// newTerms returns on what terms a listener speaks TLS; nil: it does not. They are the
// old ones, whose sessions go on, when nothing has changed.
func (w *worker) newTerms(l *planned, files proxy.Files) (*secure.Terms, error) {
	if l.spec.TLS == nil {
		return nil, nil
	}
	var old *secure.Terms
	if l.old != nil {
		old = l.old.terms
	}
	terms, err := secure.Server(&l.spec, files, old)
	if err == nil && terms != old {
		terms.SetTicketKeys(w.tickets)
	}
	return terms, err
}

// useTickets has the listeners make and accept session tickets with keys.
func (w *worker) useTickets(keys [][32]byte) {
	w.tickets = keys
	for _, l := range w.listeners {
		if l.terms != nil {
			l.terms.SetTicketKeys(keys)
		}
	}
}

// served returns what the service of l is to go by.
func (p *plan) served(l *planned) (served, error) {
	v := served{listener: l.spec, pools: map[string]*pool{}, log: p.config.Spec.Log, pseudonym: p.config.Pseudonym, now: p.now}
	for _, name := range l.spec.Pools() {
		pool := p.byName[name]
		if pool == nil {
			return v, fmt.Errorf("listener %q: unknown pool %q", l.spec.Name, name)
		}
		v.pools[name] = pool
	}
	return v, nil
}

// commit swaps the plan in. Nothing here can fail, but for a host that has nothing
// left to accept connections with: that ends the worker.
func (w *worker) commit(p *plan) {
	oldListeners, oldPools := w.listeners, w.pools
	w.pools, w.listeners = p.pools, nil
	for _, pool := range w.pools {
		pool.servers.Activate(p.now)
	}
	w.access.Configure(p.config.Spec.Log.Access, p.config.Spec.Log.Sample)
	w.traces(p.config)
	for i := range p.listeners {
		w.listeners = append(w.listeners, w.commitListener(&p.listeners[i]))
	}
	for _, l := range oldListeners {
		if !slices.Contains(w.listeners, l) {
			w.retire(l)
		}
	}
	for _, old := range oldPools {
		if next := p.byName[old.name()]; next != nil {
			old.backend.Retire(next.backend)
		} else {
			old.backend.Retire(nil)
		}
	}
	var servers []checked
	for _, pool := range w.pools {
		servers = append(servers, pool.checked()...)
	}
	w.checks.set(servers)
	w.config = p.config
	w.forgetSockets()
}

// traces has requests recorded, and the records sent, as c says.
func (w *worker) traces(c ipc.WorkerConfig) {
	t := c.Spec.Tracing
	w.exporter.Configure(t.OTLP, otlp.Resource{Instance: c.Node, Version: c.Version})
	w.tracer.Configure(t.OTLP != "", t.Sample)
}

func (w *worker) commitListener(p *planned) *listener {
	l := p.old
	if l == nil {
		l = &listener{service: p.fresh, binds: make(map[netip.AddrPort]bind)}
	}
	l.spec, l.terms = p.spec, p.terms
	if p.use != nil {
		p.use()
	}
	for addr, b := range l.binds {
		if _, replaced := p.opened[addr]; replaced || !slices.Contains(p.spec.Bind, addr) {
			b.stop()
			delete(l.binds, addr)
		}
	}
	for addr, b := range p.opened {
		var err error
		if b.stop, err = l.service.Listen(b.socket); err != nil {
			b.stop = func() {}
			w.broken(fmt.Errorf("listener %q on %s: %w", l.spec.Name, addr, err))
		}
		l.binds[addr] = b
	}
	return l
}

// broken ends the worker for want of something it cannot do without.
func (w *worker) broken(err error) {
	select {
	case w.brokenC <- err:
	default: // one is enough
	}
}

// forgetSockets closes the sockets that the config in force does not name.
func (w *worker) forgetSockets() {
	used := make(map[*socket]bool)
	for _, l := range w.listeners {
		for _, b := range l.binds {
			used[b.socket] = true
		}
	}
	for name, s := range w.sockets {
		if !used[s] {
			s.close()
			delete(w.sockets, name)
		}
	}
}
