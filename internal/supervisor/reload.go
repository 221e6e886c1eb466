package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/listen"
	"github.com/tandemlb/tandem/internal/roster"
	"github.com/tandemlb/tandem/internal/sdnotify"
	"github.com/tandemlb/tandem/internal/telemetry"
)

// Reload reads the config file again and changes what differs. On an error
// everything is as it was, and the status says so. It is not interrupted by the
// end of ctx: nobody could say what the worker serves then.
func (s *Supervisor) Reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.stopping {
		return errors.New("the node is stopping")
	}
	s.mu.Lock()
	ready := s.ready
	s.mu.Unlock()
	if ready { // else the end of it would be taken for that of the start
		sdnotify.Reloading()
		defer sdnotify.Ready()
	}

	err := s.reload(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.refused = err
	s.mu.Unlock()
	s.history.Add(reloadEvent(time.Now(), s.current().hash, err))
	if err != nil {
		s.o.Log.Error("config refused, the old one stays", zap.Error(err), telemetry.Always())
		return err
	}
	s.o.Log.Info("config loaded", zap.String("hash", s.current().hash), telemetry.Always())
	s.changed()
	return nil
}

func reloadEvent(now time.Time, hash string, refused error) admin.Event {
	e := admin.Event{At: now, Kind: admin.ConfigEvent, What: "loaded, hash " + hash}
	if refused != nil {
		e.What, e.Evidence = "refused, the old one stays, hash "+hash, refused.Error()
	}
	return e
}

// reloadOn reloads for each signal. The log says how it went.
func (s *Supervisor) reloadOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			_ = s.Reload(ctx)
		}
	}
}

// reload does all that can fail first: a config that is refused at any step has
// touched nothing that is live.
func (s *Supervisor) reload(ctx context.Context) error {
	old := s.current()
	s.generation++ // also of those that are refused: their answers must not be mistaken
	next, err := s.loader.load(s.o, s.generation, old)
	if err != nil {
		return err
	}
	if err := fixed(old, next); err != nil {
		return err
	}
	all, opened, err := listen.Bind(ctx, next.config.Proxy, s.sockets)
	if err != nil {
		return err
	}
	move, err := s.metrics.Prepare(ctx, next.config.Metrics.Listen)
	if err != nil {
		listen.Close(opened)
		return err
	}
	overlay, dropped := s.overlay().Reconcile(next.config.Proxy)
	composed, notes := s.composed(next, overlay)
	if err := s.worker.apply(ctx, serving{config: composed, sockets: all}); err != nil {
		listen.Close(opened)
		s.metrics.Discard(move)
		s.servers.resolver.Want(roster.Names(old.config.Proxy, s.overlay()))
		return err
	}
	s.settle(overlay, notes)
	s.metrics.Use(move)
	s.forgetOverlay(dropped)

	before := s.sockets
	s.mu.Lock()
	s.now, s.sockets = next, all
	s.mu.Unlock()
	for bind, f := range before {
		if all[bind] == nil {
			f.Close()
		}
	}
	if level, err := zap.ParseAtomicLevel(next.config.Log.Level); err == nil {
		s.o.Level.SetLevel(level.Level())
	}
	if s.agent != nil {
		s.agent.configure(ipc.AgentConfig{Routers: next.routers, Notice: s.notice})
	}
	return nil
}

// fixed refuses what only a restart can change.
func fixed(old, next *loaded) error {
	var errs []error
	differs := func(what string) {
		errs = append(errs, fmt.Errorf("%s cannot be changed by a reload (restart the node instead)", what))
	}
	a, b := old.config, next.config
	if !slices.Equal(a.Nodes, b.Nodes) || old.self != next.self {
		differs("nodes")
	}
	if a.Cluster != b.Cluster {
		differs("cluster")
	}
	if !reflect.DeepEqual(a.Admin, b.Admin) {
		differs("admin")
	}
	if a.State != b.State {
		differs("state")
	}
	if (len(a.VIPs) == 0) != (len(b.VIPs) == 0) {
		differs("the first or the last VIP")
	}
	return errors.Join(errs...)
}
