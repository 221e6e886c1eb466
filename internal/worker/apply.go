package worker

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// plan is a config with everything done that can fail, and nothing live touched.
type plan struct {
	pools     []*pool
	listeners []planned
}

// planned is one listener of a plan.
type planned struct {
	spec   proxy.Listener
	pool   *pool
	old    *listener // that goes on; nil when there is none
	fresh  service   // without old
	opened map[netip.AddrPort]bind
}

// apply makes the worker serve spec. On an error it serves what it served before.
func (w *worker) apply(spec proxy.Spec, now time.Time) error {
	if w.draining() {
		return errors.New("the worker is draining")
	}
	p := &plan{}
	if err := w.prepare(p, spec, now); err != nil {
		p.discard()
		return err
	}
	w.commit(p)
	return nil
}

func (w *worker) prepare(p *plan, spec proxy.Spec, now time.Time) error {
	for _, s := range spec.Pools {
		if p.pool(s.Name) != nil {
			return fmt.Errorf("pool %q is defined twice", s.Name)
		}
		pool, err := newPool(s, findPool(w.pools, s.Name), w.dialer, now)
		if err != nil {
			return err
		}
		p.pools = append(p.pools, pool)
	}
	for _, s := range spec.Listeners {
		if slices.ContainsFunc(p.listeners, func(l planned) bool { return l.spec.Name == s.Name }) {
			return fmt.Errorf("listener %q is defined twice", s.Name)
		}
		l := planned{spec: s, pool: p.pool(s.Pool), opened: make(map[netip.AddrPort]bind)}
		p.listeners = append(p.listeners, l)
		if err := w.prepareListener(&p.listeners[len(p.listeners)-1]); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) prepareListener(l *planned) (err error) {
	if l.pool == nil {
		return fmt.Errorf("listener %q: unknown pool %q", l.spec.Name, l.spec.Pool)
	}
	i := slices.IndexFunc(w.listeners, func(old *listener) bool {
		return old.spec.Name == l.spec.Name && old.spec.Protocol == l.spec.Protocol
	})
	if i >= 0 {
		l.old = w.listeners[i]
	} else if l.fresh, err = newService(l.spec, l.pool, w.dialer, w.log); err != nil {
		return err
	}
	for _, addr := range l.spec.Bind {
		f := w.sockets[ipc.Socket{Listener: l.spec.Name, Bind: addr}]
		if f == nil {
			return fmt.Errorf("listener %q: no socket was handed over for %s", l.spec.Name, addr)
		}
		if l.old != nil && l.old.binds[addr].file == f || l.opened[addr].file == f {
			continue
		}
		ln, err := listen(f)
		if err != nil {
			return fmt.Errorf("listener %q on %s: %w", l.spec.Name, addr, err)
		}
		l.opened[addr] = bind{file: f, ln: ln}
	}
	return nil
}

// discard closes what a plan opened.
func (p *plan) discard() {
	for _, l := range p.listeners {
		for _, b := range l.opened {
			_ = b.ln.Close()
		}
	}
}

func (p *plan) pool(name string) *pool { return findPool(p.pools, name) }

func findPool(pools []*pool, name string) *pool {
	i := slices.IndexFunc(pools, func(p *pool) bool { return p.name() == name })
	if i < 0 {
		return nil
	}
	return pools[i]
}

// commit swaps the plan in. Nothing here can fail.
func (w *worker) commit(p *plan) {
	oldListeners, oldPools := w.listeners, w.pools
	w.pools, w.listeners = p.pools, nil
	for _, l := range p.listeners {
		w.listeners = append(w.listeners, w.commitListener(l))
	}
	for _, l := range oldListeners {
		if !slices.Contains(w.listeners, l) {
			w.retire(l)
		}
	}
	for _, old := range oldPools {
		if next := p.pool(old.name()); next != nil {
			old.backend.Retire(next.backend)
		} else {
			old.backend.Retire(nil)
		}
	}
	var servers []*upstream.Server
	for _, pool := range w.pools {
		servers = append(servers, pool.servers.Servers()...)
	}
	w.checks.set(servers)
	w.forgetSockets()
}

func (w *worker) commitListener(p planned) *listener {
	l := p.old
	if l == nil {
		l = &listener{service: p.fresh, binds: make(map[netip.AddrPort]bind)}
	}
	l.spec = p.spec
	l.service.use(p.pool)
	for addr, b := range l.binds {
		if _, replaced := p.opened[addr]; replaced || !slices.Contains(p.spec.Bind, addr) {
			_ = b.ln.Close()
			delete(l.binds, addr)
		}
	}
	for addr, b := range p.opened {
		l.binds[addr] = b
		l.serves.Go(func() { w.serve(l.service, b) })
	}
	return l
}

func (w *worker) serve(s service, b bind) {
	if err := s.Serve(b.ln); err != nil {
		select {
		case w.brokenC <- err:
		default: // one is enough to end the worker
		}
	}
}

// forgetSockets closes the sockets that the config in force does not name.
func (w *worker) forgetSockets() {
	used := make(map[*os.File]bool)
	for _, l := range w.listeners {
		for _, b := range l.binds {
			used[b.file] = true
		}
	}
	for name, f := range w.sockets {
		if !used[f] {
			f.Close()
			delete(w.sockets, name)
		}
	}
}
