package stage

import (
	"context"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	askEvery = 100 * time.Millisecond // a node for its status
	askLimit = 2 * time.Second
	// lookEvery is after how many questions the node's processes are looked for.
	lookEvery = 5
)

// listen asks the node for its status until ctx is done.
func (s *Stage) listen(ctx context.Context, n *node) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if i%lookEvery == 0 {
			_, _ = n.parts() // none is to be overlooked in the end
		}
		at, supervisor := s.clock(), n.supervisor()
		status, err := n.status(ctx)
		if err != nil || supervisor != n.supervisor() {
			continue // it is dead, or starting: silence says enough
		}
		for _, part := range n.found(status, supervisor) {
			s.say(judge.Event{At: at, What: judge.Up, Node: n.index, Part: part})
		}
		state := stateOf(status)
		if !state.Ready {
			at = s.clock() // what makes it unfit may have come after the question
		}
		s.say(judge.Event{At: at, What: judge.State, Node: n.index, Status: state})
	}
}

func (n *node) status(ctx context.Context) (*admin.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return n.client.Status(ctx)
}

// stateOf is what of a status the judge is told.
func stateOf(s *admin.Status) judge.Status {
	state := judge.Status{Panics: s.Panics, ServersUp: serversUp(s)}
	if len(s.VIPs) > 0 {
		v := s.VIPs[0]
		state.Role, state.Priority = v.Role.String(), int(v.Priority)
		state.Ready = s.Fit && v.Role != vrrp.Init && s.Worker.PID != 0
	}
	return state
}

func serversUp(s *admin.Status) bool {
	for _, p := range s.Pools {
		for _, server := range p.Servers {
			if server.Checked && server.Health != "up" || !server.Ejected.Until.IsZero() {
				return false
			}
		}
	}
	return len(s.Pools) > 0
}
