package worker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
)

// lookupWithin is how long the supervisor is waited for.
const lookupWithin = 5 * time.Second

// names asks the supervisor for the addresses of hosts: the worker itself may not read
// what it takes to ask DNS. Multiple goroutines may use it.
type names struct {
	ask func(ipc.FromWorker)

	mu     sync.Mutex
	askedC map[string]chan struct{} // closed at the answer
	known  map[string]ipc.Found     // the newest answer that has addresses, or is the only one
}

func newNames(ask func(ipc.FromWorker)) *names {
	return &names{ask: ask, askedC: make(map[string]chan struct{}), known: make(map[string]ipc.Found)}
}

// lookup returns the addresses of host; when there is no answer, or none that helps,
// those of an earlier one.
func (n *names) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	answeredC, asked := n.askedC[host]
	if !asked {
		answeredC = make(chan struct{})
		n.askedC[host] = answeredC
		n.ask(ipc.FromWorker{Lookup: &ipc.Lookup{Host: host}})
	}
	n.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	var late error
	select {
	case <-answeredC:
	case <-ctx.Done():
		late = ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if late != nil && n.askedC[host] == answeredC {
		delete(n.askedC, host) // who comes next asks once more
	}
	switch found, known := n.known[host]; {
	case len(found.Addresses) > 0:
		return found.Addresses, nil
	case known:
		return nil, errors.New(found.Error)
	default:
		return nil, fmt.Errorf("look up %q: %w", host, late)
	}
}

// found takes an answer.
func (n *names) found(f ipc.Found) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(f.Addresses) > 0 || len(n.known[f.Host].Addresses) == 0 {
		if f.Error == "" && len(f.Addresses) == 0 {
			f.Error = fmt.Sprintf("look up %q: it has no address", f.Host)
		}
		n.known[f.Host] = f
	}
	if answeredC, asked := n.askedC[f.Host]; asked {
		close(answeredC)
		delete(n.askedC, f.Host)
	}
}
