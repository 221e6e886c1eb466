// Package stage is what faults are done to: a pair of nodes in network namespaces, with
// servers behind it, clients before it, and observers around it. It tells what is done
// and what is seen as events of package judge.
package stage

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// metricsPort is where each node has its metrics, on its loopback.
const metricsPort = 9404

// Options say what a stage is made of.
type Options struct {
	Binary string // path of the tandem binary
	Self   string // path of this program, which is also the clients and the hogs
	Dir    string // for configs, logs and sockets
	Tell   func(judge.Event)
	Log    func(format string, args ...any)
}

// A Stage is a pair that runs. Its methods may be called by several goroutines.
type Stage struct {
	Options
	lab     *lab.Lab
	began   time.Time
	nodes   [2]*node
	servers map[string]*server
	filter  filter
	caught  []*lab.Capture
	stop    context.CancelFunc
	all     *errgroup.Group
	idle    [2]usage
	locked  atomic.Int64 // when the measurement of the kernel's lock began, that goes on; 0: none does

	mu       sync.Mutex
	variant  [2]int // of the configs
	reloads  int
	load     *lab.Process
	loadDone chan struct{}
}

// Open builds a stage and waits until the pair is ready. Events have their time
// from then on. The caller closes it.
func Open(ctx context.Context, o Options) (*Stage, error) {
	s := &Stage{Options: o, servers: map[string]*server{}, stop: func() {}, all: &errgroup.Group{}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stage) open(ctx context.Context) (err error) {
	if err := writeSecrets(s.Dir); err != nil {
		return err
	}
	if s.lab, err = lab.New(lab.Spec{Hosts: hosts()}); err != nil {
		return err
	}
	s.filter = filter{s.lab}
	for _, name := range []string{"s1", "s2", "s3"} {
		if s.servers[name], err = startServer(s.lab.Host(name)); err != nil {
			return err
		}
	}
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	for i, name := range []string{plan.LB1, plan.LB2} {
		n := newNode(i, name, s.lab.Host(name), s)
		s.nodes[i] = n
		if err := os.WriteFile(n.configFile(), []byte(s.config(0)), 0o644); err != nil {
			return fmt.Errorf("write config: %w", err)
		}
		if err := n.start(); err != nil {
			return err
		}
		s.all.Go(func() error { return n.keep(keep) })
	}
	if err := s.waitReady(ctx); err != nil {
		return err
	}
	for i, n := range s.nodes {
		if s.idle[i], err = n.usage(); err != nil {
			return err
		}
	}
	s.began = time.Now()
	if err := s.observe(keep); err != nil {
		return err
	}
	return s.startLoad()
}

// clock is the time of an event.
func (s *Stage) clock() time.Duration { return time.Since(s.began) }

// Began is when the clock was zero.
func (s *Stage) Began() time.Time { return s.began }

// say tells an event that happens now, unless it has a time.
func (s *Stage) say(e judge.Event) {
	if e.At == 0 {
		e.At = s.clock()
	}
	s.Tell(e)
}

// waitReady waits until lb1 is Active and lb2 Backup, all servers being up.
func (s *Stage) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the pair is not ready within 30 s"))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ready := true
		for i, n := range s.nodes {
			status, err := n.status(ctx)
			if err != nil {
				ready = false
				break
			}
			state := stateOf(status)
			ready = ready && state.Ready && state.ServersUp && state.Role == []string{"active", "backup"}[i]
		}
		if ready {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w; the log of lb1 ends with %q", context.Cause(ctx), tail(s.nodes[0].logFile()))
		}
	}
}

// control is the address of the server that no node stands before.
func control() string { return netip.AddrPortFrom(addressOf(rogue), 7001).String() }

// startLoad starts the clients, as a process of the third host, and their control.
func (s *Stage) startLoad() error {
	if _, err := s.lab.Host(rogue).Start(s.command(s.Self, "-echo", control())); err != nil {
		return err
	}
	in, out, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the clients: %w", err)
	}
	defer out.Close()
	cmd := s.command(s.Self, "-clients", VIP().String(), "-control", control())
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	p, err := s.lab.Host(client).Start(cmd)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	s.load, s.loadDone = p, make(chan struct{})
	s.all.Go(func() error {
		defer close(s.loadDone)
		defer in.Close()
		return s.record(in)
	})
	return nil
}

// Close ends everything.
func (s *Stage) Close() error {
	s.stop()
	var errs []error
	for _, c := range s.caught {
		errs = append(errs, c.Close())
	}
	for _, n := range s.nodes {
		if n != nil {
			errs = append(errs, n.end())
		}
	}
	for _, server := range s.servers {
		if server != nil {
			errs = append(errs, server.close())
		}
	}
	if s.lab != nil {
		errs = append(errs, s.lab.Close())
	}
	return errors.Join(append(errs, s.all.Wait())...)
}

func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-600):])
}
