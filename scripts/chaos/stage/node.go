package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// restartPause is what a service manager waits before it starts a service anew.
const restartPause = 100 * time.Millisecond

// node is a node of the pair, and its service manager.
type node struct {
	index  int // as the judge counts
	name   string
	host   *lab.Host
	stage  *Stage
	client *admin.Client

	mu      sync.Mutex
	process *lab.Process
	resume  time.Time           // not to be started before
	lost    map[string]int      // parts that were killed, by the process that they were
	seen    map[identity]string // every process that it ever had, and which part it was
}

func newNode(index int, name string, host *lab.Host, stage *Stage) *node {
	return &node{
		index: index, name: name, host: host, stage: stage, lost: map[string]int{}, seen: map[identity]string{},
		client: admin.NewClient(filepath.Join(stage.Dir, name+".sock")),
	}
}

func (n *node) configFile() string { return filepath.Join(n.stage.Dir, n.name+".yaml") }
func (n *node) logFile() string    { return filepath.Join(n.stage.Dir, n.name+".log") }

// start starts the node.
func (n *node) start() error {
	log, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", n.name, err)
	}
	defer log.Close() // the node has its own descriptor
	cmd := n.stage.command(n.stage.Binary, "run", "-c", n.configFile(), "--node", n.name, "--socket", filepath.Join(n.stage.Dir, n.name+".sock"))
	cmd.Env = append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(n.stage.Dir, n.name+".state"), "GOTRACEBACK=all")
	cmd.Stdout, cmd.Stderr = log, log
	p, err := n.host.Start(cmd)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process = p
	if id, ok := identify(p.PID()); ok {
		n.seen[id] = plan.Supervisor
	}
	return nil
}

// keep is the service manager: it starts the node whenever it has ended, until ctx
// is done.
func (n *node) keep(ctx context.Context) error {
	for {
		n.mu.Lock()
		p := n.process
		n.mu.Unlock()
		select {
		case <-p.Done():
		case <-ctx.Done():
			return nil
		}
		n.mu.Lock()
		pause := max(restartPause, time.Until(n.resume))
		n.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		if err := n.start(); err != nil {
			return err
		}
	}
}

// parts returns the node's processes that run, by part.
func (n *node) parts() (map[string]identity, error) {
	n.mu.Lock()
	p := n.process
	n.mu.Unlock()
	select {
	case <-p.Done():
		return nil, nil
	default:
	}
	children, err := p.Descendants()
	if err != nil {
		return nil, err
	}
	found := map[string]identity{}
	if id, ok := identify(p.PID()); ok {
		found[plan.Supervisor] = id
	}
	for _, pid := range children {
		id, ok := identify(pid)
		words, err := lab.Words(pid)
		if !ok || err != nil || len(words) < 2 {
			continue // it has ended since
		}
		if words[1] == plan.Agent || words[1] == plan.Worker {
			found[words[1]] = id
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for part, id := range found {
		n.seen[id] = part
	}
	return found, nil
}

// choose returns those of a node's processes that a fault is about; none when they do not
// run.
func choose(all map[string]identity, part string) map[string]identity {
	if part == plan.Whole {
		return all
	}
	if id, ok := all[part]; ok {
		return map[string]identity{part: id}
	}
	return nil
}

// kill sends SIGKILL to part, and has the node not started before a pause is over.
func (n *node) kill(part string, pause time.Duration) error {
	all, err := n.parts()
	doomed := choose(all, part)
	if err != nil || len(doomed) == 0 {
		return err
	}
	gone := doomed
	if part == plan.Supervisor { // the others go with it
		gone = all
	}
	n.mu.Lock()
	n.resume = time.Now().Add(pause)
	p := n.process
	for which, id := range gone {
		n.lost[which] = id.pid
	}
	n.mu.Unlock()
	for which := range gone {
		// The worker of a supervisor that was killed goes on with its connections.
		n.stage.say(judge.Event{What: judge.Down, Node: n.index, Part: which, OK: part == plan.Supervisor})
	}
	if part == plan.Whole {
		return p.Kill()
	}
	for _, id := range doomed {
		err = errors.Join(err, id.send(syscall.SIGKILL))
	}
	return err
}

// stop sends SIGSTOP to part; the function that it returns has it go on.
func (n *node) stop(part string) (resume func() error, err error) {
	all, err := n.parts()
	stopped := choose(all, part)
	if err != nil {
		return func() error { return nil }, err
	}
	for which := range stopped {
		n.stage.say(judge.Event{What: judge.Down, Node: n.index, Part: which})
	}
	for _, id := range stopped {
		err = errors.Join(err, id.send(syscall.SIGSTOP))
	}
	return func() error {
		var err error
		for _, id := range stopped {
			err = errors.Join(err, id.send(syscall.SIGCONT))
		}
		for which := range stopped {
			n.stage.say(judge.Event{What: judge.Up, Node: n.index, Part: which})
		}
		return err
	}, err
}

// found takes note of what a status shows: parts that were killed and are back.
func (n *node) found(s *admin.Status, supervisor int) (back []string) {
	now := map[string]int{plan.Supervisor: supervisor, plan.Worker: s.Worker.PID}
	if s.Agent != nil {
		now[plan.Agent] = s.Agent.PID
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for part, pid := range now {
		if was, ok := n.lost[part]; ok && pid != 0 && pid != was {
			delete(n.lost, part)
			back = append(back, part)
		}
	}
	slices.Sort(back)
	return back
}

// supervisor returns the id of the process that was started last.
func (n *node) supervisor() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process.PID()
}
