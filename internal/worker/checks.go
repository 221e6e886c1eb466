package worker

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/check"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// checks runs the checkers of the servers that have a check. Multiple goroutines
// may use it at the same time.
type checks struct {
	observe func(*upstream.Server, upstream.Verdict)
	wg      sync.WaitGroup

	mu      sync.RWMutex
	running map[*upstream.Server]running
}

type running struct {
	checker *check.Checker
	stop    context.CancelFunc
}

func newChecks(observe func(*upstream.Server, upstream.Verdict)) *checks {
	return &checks{observe: observe, running: make(map[*upstream.Server]running)}
}

// checked is a server to be checked, and how it is spoken to.
type checked struct {
	*upstream.Server
	way check.Way
}

// set makes servers the ones that are checked. Those that were stay as they are.
func (c *checks) set(servers []checked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.running
	c.running = make(map[*upstream.Server]running, len(servers))
	for _, s := range servers {
		if r, ok := gone[s.Server]; ok {
			r.checker.Speak(s.way)
			c.running[s.Server] = r
			delete(gone, s.Server)
		} else if s.Check().Kind != proxy.CheckNone {
			c.running[s.Server] = c.start(s)
		}
	}
	for _, r := range gone {
		r.stop()
	}
}

func (c *checks) start(s checked) running {
	ctx, stop := context.WithCancel(context.Background())
	checker := check.New(s.Server, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), c.observe)
	checker.Speak(s.way)
	c.wg.Go(func() { _ = checker.Run(ctx) }) // it returns nil
	return running{checker: checker, stop: stop}
}

// now asks for an immediate check of s.
func (c *checks) now(s *upstream.Server) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if r, ok := c.running[s]; ok {
		r.checker.Now()
	}
}

// close stops all checkers and waits for them.
func (c *checks) close() {
	c.set(nil)
	c.wg.Wait()
}
