package place

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/ipc"
)

// followEvery is how often it is looked whether an interface has been replaced.
const followEvery = time.Second

// Placed are the virtual routers of a config as they run.
type Placed struct {
	Config  *config.Config
	Self    config.Node
	Routers []ipc.Router
}

// follow returns the routers of p anew, and true, when the interface of one is gone and
// another one has taken its place: a container that is connected to a network again gets
// another name for it, or the same with another MAC address, and so another link-local
// address. Until then all stay as they are.
func follow(p Placed, host []Interface) ([]ipc.Router, bool) {
	gone := func(r ipc.Router) bool {
		return !slices.ContainsFunc(host, func(i Interface) bool {
			return i.Name == r.Interface && (r.Params.Self.Is4() || slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool {
				return p.Addr() == r.Params.Self.WithZone("")
			}))
		})
	}
	if !slices.ContainsFunc(p.Routers, gone) {
		return nil, false
	}
	next, err := Routers(p.Config, p.Self, host)
	return next, err == nil
}

// Run calls moved with the routers of p, as they are to run now, whenever an interface of
// theirs has been replaced, until ctx is done.
func Run(ctx context.Context, p func() Placed, moved func(Placed)) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		host, err := Interfaces()
		if err != nil {
			continue // the next time
		}
		now := p()
		if next, is := follow(now, host); is {
			now.Routers = next
			moved(now)
		}
	}
}
