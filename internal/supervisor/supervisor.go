// Package supervisor composes a node: it reads the config, binds the sockets,
// runs the agent and the worker, tells the one what the node is fit for and the
// other what to serve, and answers the admin socket. It knows no protocol.
package supervisor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/capability"
	"github.com/tandemlb/tandem/internal/certs"
	"github.com/tandemlb/tandem/internal/child"
	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/console"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/listen"
	"github.com/tandemlb/tandem/internal/metrics"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/internal/place"
	"github.com/tandemlb/tandem/internal/sdnotify"
	"github.com/tandemlb/tandem/internal/telemetry"
	"github.com/tandemlb/tandem/internal/tickets"
	"github.com/tandemlb/tandem/internal/timeline"
	"github.com/tandemlb/tandem/internal/vip"
	"github.com/tandemlb/tandem/internal/vmac"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	leaveTimeout = 3 * time.Second  // for the agent to hand its addresses over
	drainTimeout = 10 * time.Second // for the worker to finish what it has begun
	startTimeout = 30 * time.Second // for the worker to serve for the first time, or its successor
)

// Options configures a Supervisor.
type Options struct {
	ConfigPath string
	Node       string // name of this node; empty: found by its address
	Socket     string // admin socket; empty: the config's
	// UserSocket takes the place of the default admin socket when this process
	// may not make that.
	UserSocket string
	// StateDir, when set, takes the place of the default directory for what outlives
	// the process.
	StateDir string
	Version  string
	ReloadC  <-chan os.Signal // each has the node read its config again
	Log      *zap.Logger
	Level    zap.AtomicLevel
}

// Supervisor is a running node.
type Supervisor struct {
	o        Options
	family   child.Family
	started  time.Time
	changedC chan struct{} // capacity 1: something that the node's fitness or its peer depends on

	worker  *workerLink
	agent   *agentLink    // nil without VIPs at the start
	cluster *peer.Cluster // nil without other nodes
	notice  *ipc.Notice   // nil without other nodes
	servers *servers
	metrics *metrics.Endpoint // owned by reloading, once the node serves
	console *console.Console  // nil: nobody asks on TCP

	reloading  sync.Mutex // one reload at a time
	loader     loader     // owned by reloading, once the node serves
	generation uint64     // of the newest config that was tried; owned by reloading
	stopping   bool       // the sockets are closed; owned by reloading
	stickyKey  []byte     // constant; see ipc.WorkerConfig

	mu       sync.Mutex
	now      *loaded
	sockets  map[listen.Endpoint]*os.File
	refused  error // of the newest reload
	ready    bool  // the service manager knows that the node serves, and so of reloads
	fit      ipc.Fitness
	verdicts map[string]judge.Doubt // on each peer

	history     *timeline.Store
	ticketKeys  []tickets.Key                              // owned by mu
	activations map[string]map[vrrp.NewActiveReason]uint64 // by router; owned by mu
}

// loaded is a config that has been read and found good on this host.
type loaded struct {
	config     *config.Config
	files      *certs.Keeper // what the config names
	hash       string
	self       config.Node
	routers    []ipc.Router
	generation uint64
	at         time.Time
}

// Run runs the node until ctx is done, and then hands its addresses over and
// finishes what it has begun. An error means that the node could not start.
func Run(ctx context.Context, o Options) error {
	first, err := load(o, 1, nil)
	if err != nil {
		return err
	}
	if err := capability.Require(len(first.routers) > 0, child.Unprivileged() != nil); err != nil {
		return err
	}
	level, err := zap.ParseAtomicLevel(first.config.Log.Level)
	if err != nil {
		return err
	}
	o.Level.SetLevel(level.Level())
	family := child.Family{Node: first.self.Name, Log: o.Log}
	o.Log = telemetry.As(o.Log, "supervisor", family.Node, os.Getpid())
	s := &Supervisor{o: o, family: family, started: time.Now(), changedC: make(chan struct{}, 1), now: first, fit: starting, generation: first.generation, servers: newServers()}
	s.history = s.timeline(first)

	sockets, _, err := listen.Bind(ctx, first.config.Proxy, nil)
	if err != nil {
		return err
	}
	s.sockets = sockets
	defer func() { listen.Close(s.sockets) }()

	l, err := admin.Listen(o.socket(first.config))
	if err != nil {
		return err
	}
	defer l.Close()
	handler := metrics.Handler(s, o.Log)
	s.metrics = metrics.NewEndpoint(handler, o.Log)
	move, err := s.metrics.Prepare(ctx, first.config.Metrics.Listen)
	if err != nil {
		return err
	}
	defer s.metrics.Discard(move) // unless it has been used
	defer s.metrics.Close()
	if s.console, err = console.Open(ctx, s.consoleOptions(first.config.Admin)); err != nil {
		return err
	}
	defer s.console.Close()

	if err := s.compose(first); err != nil {
		return err
	}
	s.metrics.Use(move)
	return s.serve(ctx, func(ctx context.Context) error { return admin.Serve(ctx, l, admin.Handler(s, handler), o.Log) })
}

// socket returns the path of the admin socket.
func (o Options) socket(cfg *config.Config) string {
	switch {
	case o.Socket != "":
		return o.Socket
	case o.UserSocket != "" && cfg.Admin.Socket == config.DefaultSocket && !mayWrite(filepath.Dir(config.DefaultSocket)):
		return o.UserSocket
	}
	return cfg.Admin.Socket
}

// mayWrite reports whether this process may make files in dir, or is root.
func mayWrite(dir string) bool {
	return os.Geteuid() == 0 || unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS) == nil
}

func (s *Supervisor) consoleOptions(a config.Admin) console.Options {
	return console.Options{Listen: a.Listen, TokenFile: a.TokenFile, Cert: a.TLS.Cert, Key: a.TLS.Key, Names: a.Names, Node: s, Log: s.o.Log}
}

// compose makes the parts that first needs. Nothing runs yet.
func (s *Supervisor) compose(first *loaded) error {
	cfg := first.config
	var key []byte
	if cfg.Cluster.KeyFile != "" {
		var err error
		if key, err = peer.ReadKey(cfg.Cluster.KeyFile); err != nil {
			return err
		}
	}
	var err error
	if s.stickyKey, err = stickyKey(cfg, key); err != nil {
		return err
	}
	config, notes := s.composed(first, nil)
	s.servers.notes = notes
	s.worker = &workerLink{
		log: s.o.Log, family: s.family, cred: child.Unprivileged(), changed: s.changed,
		serving: serving{config: config, sockets: s.sockets},
		err:     errors.New("the worker is starting"),
	}
	s.notice = first.notice(key)
	if len(cfg.VIPs) > 0 {
		s.agent = &agentLink{
			log: s.o.Log, family: s.family, changed: s.changed, sweep: sweep,
			hash:    func() string { return s.current().hash },
			config:  ipc.AgentConfig{Routers: first.routers, Notice: s.notice},
			fitness: starting,
		}
	}
	if others := first.others(); len(others) > 0 {
		s.cluster = peer.New(peer.Options{
			Self: peer.Node(first.self), Others: others, Port: cfg.Cluster.Port, Key: key, Log: s.o.Log, Changed: s.changed,
			Receive: s.receive,
		})
	}
	return nil
}

// sweep removes what a dead agent may have left behind: the addresses, and the
// interfaces of virtual MAC addresses, which also brings back what the host was set
// to without them.
func sweep(prefixes []netip.Prefix) ([]string, error) {
	addresses, err := vip.Sweep(prefixes)
	interfaces, verr := vmac.Sweep()
	return append(addresses, interfaces...), errors.Join(err, verr)
}

// others returns the other nodes of the cluster.
func (l *loaded) others() []peer.Node {
	var others []peer.Node
	for _, n := range l.config.Nodes {
		if n != l.self {
			others = append(others, peer.Node(n))
		}
	}
	return others
}

// notice returns how the agents watch each other's processes: on the port above
// that of the gossip.
func (l *loaded) notice(key []byte) *ipc.Notice {
	others := l.others()
	if len(others) != 1 {
		return nil
	}
	port := l.config.Cluster.Port + 1
	return &ipc.Notice{
		Node: l.self.Name, Key: key,
		Self: netip.AddrPortFrom(l.self.Address, port),
		Peer: netip.AddrPortFrom(others[0].Address, port),
	}
}

// serve starts the parts, waits for ctx, and stops them in good order.
func (s *Supervisor) serve(ctx context.Context, api func(context.Context) error) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()

	s.loader.stopC = ctx.Done()
	failedC := make(chan error, 1)
	parts.Go(func() { _ = s.servers.resolver.Run(inner) }) // it returns nil
	s.awaitAnswers(ctx)
	parts.Go(func() { s.history.Run(inner) })
	parts.Go(func() { s.worker.run(inner) })
	parts.Go(func() {
		if err := api(inner); err != nil {
			s.o.Log.Error("admin socket", zap.Error(err))
		}
	})
	parts.Go(func() {
		if err := s.console.Run(inner); err != nil {
			s.o.Log.Error("status page", zap.Error(err))
		}
	})
	if s.agent != nil {
		parts.Go(func() { s.agent.run(inner) })
	}
	if s.cluster != nil {
		parts.Go(func() {
			if err := s.cluster.Run(inner); err != nil {
				s.o.Log.Error("cluster", zap.Error(err))
			}
		})
	}
	coordinated, endCoordination := context.WithCancel(inner)
	defer endCoordination()
	parts.Go(func() { newCoordinator(s).run(coordinated) })
	parts.Go(func() { s.reloadOn(coordinated, s.o.ReloadC) })
	parts.Go(func() { s.runServers(coordinated) })
	parts.Go(func() { s.runFiles(coordinated) })
	if s.agent != nil {
		parts.Go(func() { place.Run(coordinated, s.placed, s.move) })
	}
	parts.Go(func() { failedC <- s.awaitFirst(coordinated) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-failedC:
		if err == nil {
			s.o.Log.Info("serving", zap.String("config", s.o.ConfigPath), zap.String("hash", s.current().hash), zap.String("version", s.o.Version), telemetry.Always())
			s.mu.Lock()
			s.ready = true
			s.mu.Unlock()
			sdnotify.Ready()
			<-ctx.Done()
		}
	}
	sdnotify.Stopping()
	s.o.Log.Info("stopping", telemetry.Always())
	s.history.Add(admin.Event{At: time.Now(), Kind: admin.NodeEvent, What: "stopping"})
	// The peer takes over while this node still serves; only then does it stop.
	if s.agent != nil {
		s.agent.leave(leaveTimeout)
	}
	s.closeSockets()
	s.worker.drain(drainTimeout)
	return err
}

// closeSockets gives up this process's copies of the listening sockets, for good.
// While there is one the kernel accepts connections, which no worker serves once
// it drains.
func (s *Supervisor) closeSockets() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.stopping = true
	listen.Close(s.sockets)
}

// awaitFirst waits until the worker serves, and the agent has something to say.
func (s *Supervisor) awaitFirst(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		v := s.worker.view()
		mute := s.agent != nil && s.agent.view().state == nil
		if v.ready && !mute {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			switch why := v.why(); {
			case v.ready:
				return fmt.Errorf("start: the agent does not run within %v: %w", startTimeout, s.agent.why())
			case why != nil:
				return fmt.Errorf("start: the worker does not serve: %w", why)
			}
			return fmt.Errorf("start: the worker does not serve within %v", startTimeout)
		}
	}
}

func (s *Supervisor) current() *loaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// workerConfig returns what l says of the worker; the servers are yet to be
// composed.
func (l *loaded) workerConfig() ipc.WorkerConfig {
	return ipc.WorkerConfig{Generation: l.generation, Spec: l.config.Proxy, Files: l.files.Files(), LogLevel: l.config.Log.Level, Pseudonym: pseudonym(l.config)}
}

// pseudonym names the pair in the Via field of what it forwards: the same on both
// nodes, so that a request which comes again is known, and another one for another
// pair, or another proxy of this host, so that one that passes two is not taken for
// that.
func pseudonym(c *config.Config) string {
	sum := sha256.New()
	for _, n := range c.Nodes {
		fmt.Fprintf(sum, "node %s=%s\n", n.Name, n.Address)
	}
	if len(c.Nodes) == 0 {
		host, _ := os.Hostname() // without one, where it listens is all that is known
		fmt.Fprintf(sum, "host %s\n", host)
	}
	for _, l := range c.Proxy.Listeners {
		fmt.Fprintf(sum, "listener %s=%s\n", l.Name, l.Bind)
	}
	return "tandem-" + hex.EncodeToString(sum.Sum(nil)[:4])
}
