package supervisor

import (
	"context"
	"errors"
	"reflect"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/resolve"
	"github.com/tandemlb/tandem/internal/roster"
	"github.com/tandemlb/tandem/proxy"
)

const (
	// firstAnswers is how long the start waits for DNS: a node that comes up beside a
	// nameserver that does not answer serves with the pools that have addresses.
	firstAnswers = 2 * time.Second
	// composeRetry is the time until a composition that the worker did not take is
	// tried again: it may be starting.
	composeRetry = time.Second
)

// servers is what the pools of the node consist of, beside the config.
type servers struct {
	resolver  *resolve.Resolver
	answeredC chan struct{} // capacity 1: answers have changed

	// Owned by Supervisor.mu, and written under Supervisor.reloading as well.
	overlay roster.Overlay
	notes   []roster.Note // of what the worker serves
}

func newServers() *servers {
	s := &servers{answeredC: make(chan struct{}, 1)}
	s.resolver = resolve.New(resolve.Options{Changed: func() {
		select {
		case s.answeredC <- struct{}{}:
		default:
		}
	}})
	return s
}

// hint has the names of servers that cannot be reached asked for again, before their
// time: they may have moved.
func (s *servers) hint(st *ipc.WorkerState) {
	if st == nil {
		return
	}
	for _, p := range st.Pools {
		for _, v := range p.Servers {
			if v.Host != "" && v.Health == "down" {
				s.resolver.Hint(v.Host)
			}
		}
	}
}

// composed returns what the worker is to serve of l, with an overlay. The names that
// it needs are asked for from now on.
func (s *Supervisor) composed(l *loaded, o roster.Overlay) (ipc.WorkerConfig, []roster.Note) {
	c := l.workerConfig()
	c.StickyKey, c.Node, c.Version = s.stickyKey, l.self.Name, s.o.Version
	s.servers.resolver.Want(roster.Names(c.Spec, o))
	var notes []roster.Note
	c.Spec, notes = roster.Compose(c.Spec, s.servers.resolver.Answers(), o)
	return c, notes
}

// awaitAnswers gives DNS a moment before the worker starts, and composes with what
// came of it.
func (s *Supervisor) awaitAnswers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstAnswers)
	defer cancel()
	settled := s.servers.resolver.Settled(ctx)
	if !settled && ctx.Err() == context.DeadlineExceeded {
		s.o.Log.Warn("starting without the answers of DNS: they take too long", zap.Duration("waited", firstAnswers))
	}
	s.reloading.Lock()
	defer s.reloading.Unlock()
	config, notes := s.composed(s.current(), nil)
	s.worker.prime(config)
	s.settle(nil, notes)
}

// runServers keeps the addresses of names up to date until ctx ends.
func (s *Supervisor) runServers(ctx context.Context) {
	retry := time.NewTimer(0)
	retry.Stop()
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.servers.answeredC:
		case <-retry.C:
		}
		if err := s.recompose(ctx, nil); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("the worker does not take the servers yet", zap.Error(err))
			retry.Reset(composeRetry)
		}
	}
}

// recompose has the worker serve the config that is in force with the newest
// answers, and with the overlay that change makes of the one before; nil changes
// nothing. On an error the overlay is as it was.
func (s *Supervisor) recompose(ctx context.Context, change func(roster.Overlay) (roster.Overlay, error)) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.stopping {
		return errors.New("the node is stopping")
	}
	now := s.current()
	before := s.overlay()
	after := before
	if change != nil {
		var err error
		if after, err = change(before); err != nil {
			return err
		}
	}
	next, notes := s.composed(now, after)
	if reflect.DeepEqual(next.Spec, s.worker.view().serving.Spec) {
		s.settle(after, notes)
		return nil
	}
	s.generation++
	next.Generation = s.generation
	if err := s.worker.apply(context.WithoutCancel(ctx), serving{config: next, sockets: s.sockets}); err != nil {
		s.servers.resolver.Want(roster.Names(now.config.Proxy, before))
		return err
	}
	s.settle(after, notes)
	s.changed()
	return nil
}

func (s *Supervisor) overlay() roster.Overlay {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.servers.overlay
}

// settle remembers what the worker serves. What is new of the notes is logged.
func (s *Supervisor) settle(o roster.Overlay, notes []roster.Note) {
	s.mu.Lock()
	before := s.servers.notes
	s.servers.overlay, s.servers.notes = o, notes
	s.mu.Unlock()
	known := make(map[roster.Note]bool, len(before))
	for _, n := range before {
		known[n] = true
	}
	for _, n := range notes {
		if !known[n] {
			s.o.Log.Warn("a pool is not as the config has it", zap.String("pool", n.Pool), zap.String("reason", n.Text))
		}
	}
}

// Change does to a server what an operator wants, on this node, until the config
// says the same or its pool is gone.
func (s *Supervisor) Change(ctx context.Context, c admin.ServerChange) error {
	wish := roster.Change{Pool: c.Pool, Server: c.Server, Verb: roster.Verb(c.Verb), Weight: c.Weight}
	err := s.recompose(ctx, func(o roster.Overlay) (roster.Overlay, error) {
		return o.With(wish, s.current().config.Proxy, s.servers.resolver.Answers())
	})
	if err != nil {
		return err
	}
	s.o.Log.Info("server changed", zap.String("pool", c.Pool), zap.String("server", c.Server), zap.String("change", c.Text()))
	s.history.Add(admin.Event{At: time.Now(), Kind: admin.ServerEvent, Subject: c.Pool + "/" + c.Server, What: c.Text()})
	return nil
}

// forgetOverlay logs what a reload has made of the overlay.
func (s *Supervisor) forgetOverlay(dropped roster.Overlay) {
	for _, e := range dropped {
		s.o.Log.Info("runtime change dropped: the config says the same, or has no such server", zap.String("pool", e.Pool), zap.String("server", e.Server))
	}
}

// runtimeChanges returns the overlay for the status.
func runtimeChanges(o roster.Overlay) []admin.RuntimeChange {
	var all []admin.RuntimeChange
	for _, e := range o {
		c := admin.RuntimeChange{Pool: e.Pool, Server: e.Server, Added: e.Added, Removed: e.Removed, Weight: e.Weight}
		if e.State != nil {
			c.State = stateText(*e.State)
		}
		all = append(all, c)
	}
	return all
}

func stateText(s proxy.ServerState) string {
	if s == proxy.Ready {
		return "ready"
	}
	return string(s)
}
