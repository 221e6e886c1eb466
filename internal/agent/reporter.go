package agent

import (
	"context"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
)

const (
	// maxLog bounds the log lines that wait for the supervisor. More are dropped
	// and counted: the heartbeat does not wait for a log.
	maxLog = 256
	// maxRoles bounds those that tell of changes of role, beside the others: as many as a
	// node of hundreds of VIPs has in the time until a supervisor that reads nothing ends.
	maxRoles = 4096
)

// reporter sends states and log lines to the supervisor. Its methods never
// block; of several states that wait, only the newest is sent.
type reporter struct {
	wakeC chan struct{} // capacity 1

	mu      sync.Mutex
	newest  *ipc.AgentState
	lines   []*ipc.LogLine
	roles   int // of lines
	dropped int
}

func newReporter() *reporter { return &reporter{wakeC: make(chan struct{}, 1)} }

func (r *reporter) state(s *ipc.AgentState) {
	r.mu.Lock()
	r.newest = s
	r.mu.Unlock()
	r.wake()
}

// log has the supervisor log a line, at a level of zap.
func (r *reporter) log(level, message string, fields map[string]any) {
	r.add(&ipc.LogLine{At: time.Now(), Level: level, Message: message, Fields: fields})
}

// role is log of a change of role. No number of other lines keeps it out.
func (r *reporter) role(level, message string, evidence map[string]any) {
	r.add(&ipc.LogLine{At: time.Now(), Level: level, Message: message, Role: true, Fields: evidence})
}

func (r *reporter) add(line *ipc.LogLine) {
	r.mu.Lock()
	switch {
	case line.Role && r.roles < maxRoles:
		r.lines = append(r.lines, line)
		r.roles++
	case !line.Role && len(r.lines)-r.roles < maxLog:
		r.lines = append(r.lines, line)
	default:
		r.dropped++
	}
	r.mu.Unlock()
	r.wake()
}

func (r *reporter) wake() {
	select {
	case r.wakeC <- struct{}{}:
	default:
	}
}

// run sends until ctx is done, and then once more what is still waiting.
func (r *reporter) run(ctx context.Context, send func(ipc.FromAgent) error) error {
	for {
		select {
		case <-ctx.Done():
			return r.flush(send)
		case <-r.wakeC:
			if err := r.flush(send); err != nil {
				return nil // the supervisor is dead; the loop learns it by itself
			}
		}
	}
}

func (r *reporter) flush(send func(ipc.FromAgent) error) error {
	r.mu.Lock()
	state, lines, dropped := r.newest, r.lines, r.dropped
	r.newest, r.lines, r.roles, r.dropped = nil, nil, 0, 0
	r.mu.Unlock()
	if dropped > 0 {
		lines = append(lines, &ipc.LogLine{At: time.Now(), Level: "warn", Message: "log lines dropped", Fields: map[string]any{"count": dropped}})
	}
	for _, line := range lines {
		if err := send(ipc.FromAgent{Log: line}); err != nil {
			return err
		}
	}
	if state == nil {
		return nil
	}
	return send(ipc.FromAgent{State: state})
}
