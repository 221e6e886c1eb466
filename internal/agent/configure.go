package agent

import (
	"reflect"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

// configure replaces the set of virtual routers. An equal one keeps its state.
func (l *loop) configure(now time.Time, routers []ipc.Router) {
	old := l.instances
	l.instances = make([]*instance, len(routers))
	for i, cfg := range routers {
		l.instances[i] = takeEqual(old, cfg)
	}
	// The old ones let go first: a new one may have the name of one of them.
	for _, in := range old {
		if in != nil && in.started {
			l.apply(now, in, in.vr.Shutdown(now, vrrp.Leave{Reason: "removed from the config"}))
		}
	}
	for i, cfg := range routers {
		if l.instances[i] == nil {
			l.instances[i] = l.create(cfg)
		}
	}
	l.instances = slices.DeleteFunc(l.instances, func(in *instance) bool { return in == nil })
	l.closeUnusedSockets()
	l.changed = true
}

// create returns a new instance; nil when its config makes no virtual router.
func (l *loop) create(cfg ipc.Router) *instance {
	in, err := newInstance(cfg)
	if err != nil {
		l.reporter.log("error", "cannot run", map[string]any{"vip": cfg.Name, "error": err.Error()})
		return nil
	}
	if k, known := l.links[cfg.Interface]; known {
		in.linkDown = !k.Up
	}
	l.owner.set(in.want) // nothing is wanted yet: have left-overs removed
	return in
}

// takeEqual removes from old, and returns, the instance that runs exactly cfg.
func takeEqual(old []*instance, cfg ipc.Router) *instance {
	for i, in := range old {
		if in != nil && reflect.DeepEqual(in.cfg, cfg) {
			old[i] = nil
			return in
		}
	}
	return nil
}

func (l *loop) closeUnusedSockets() {
	for _, s := range l.sockets {
		used := false
		for _, in := range l.instances {
			used = used || in.sock == s
		}
		if !used {
			l.closeSocket(s)
		}
	}
}
