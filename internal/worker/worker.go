// Package worker composes the data plane in its process: it serves what the
// supervisor tells it on the sockets that the supervisor hands over.
package worker

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/otlp"
	"github.com/tandemlb/tandem/internal/usage"
	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/l7"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/proxy/trace"
	"github.com/tandemlb/tandem/proxy/udp"
	"github.com/tandemlb/tandem/proxy/upstream"
)

const (
	// publishEvery is the longest time between two states.
	publishEvery = time.Second
	// orphanDrain is how long connections may go on without a supervisor.
	orphanDrain = 10 * time.Second
)

// Conn is the worker's end of the socket pair between it and the supervisor.
type Conn = ipc.Conn[ipc.ToWorker, ipc.FromWorker]

// worker is owned by the goroutine of Run; other goroutines touch the channels and
// checks only.
type worker struct {
	log       *zap.Logger
	level     zap.AtomicLevel // of log
	sandbox   ipc.Sandbox
	out       *outbox
	loops     *reactor.Reactor
	engine    *l7.Engine
	datagrams *udp.Engine
	access    *accesslog.Log
	tracer    *trace.Tracer
	exporter  *otlp.Exporter
	checks    *checks
	pressure  *pressure
	stats     *stats.Registry
	names     *names

	end     context.CancelFunc // of what follows
	running sync.WaitGroup     // the loops, the access log and the traces

	config    ipc.WorkerConfig // in force; its generation is 0 before the first
	sockets   map[ipc.Socket]*socket
	listeners []*listener // in the order of the config
	pools     []*pool     // in the order of the config
	tickets   [][32]byte  // that session tickets are made with; see ipc.Tickets

	ctx      context.Context // ends when connections must
	cut      context.CancelFunc
	bound    context.Context // ends when the sockets of UDP must; within ctx
	unbind   context.CancelFunc
	services sync.WaitGroup // of listeners that were retired

	deadline time.Time     // of the drain; zero while there is none
	cutter   *time.Timer   // calls cut at deadline
	drained  chan struct{} // closed at the end of the drain

	changedC chan struct{} // holds a wish to publish
	brokenC  chan error    // of a listener that cannot accept any more
}

// message is what the supervisor sent.
type message struct {
	ipc.ToWorker
	files []*os.File
}

// Options are what a worker is started with.
type Options struct {
	Log    *zap.Logger
	Level  zap.AtomicLevel // of Log; it is set to the config's
	Access io.Writer       // gets the access log
	// Sandbox is what confines the process, for the supervisor to know.
	Sandbox ipc.Sandbox
}

// Run serves until the supervisor asks for a drain, or dies, and the connections
// have finished; then it returns nil. The end of ctx ends everything at once. Run
// closes conn.
func Run(ctx context.Context, conn *Conn, o Options) error {
	w := &worker{
		log:      o.Log,
		level:    o.Level,
		sandbox:  o.Sandbox,
		out:      newOutbox(),
		sockets:  make(map[ipc.Socket]*socket),
		drained:  make(chan struct{}),
		changedC: make(chan struct{}, 1),
		brokenC:  make(chan error, 1),
	}
	w.names = newNames(w.out.put)
	w.ctx, w.cut = context.WithCancel(context.Background())
	w.bound, w.unbind = context.WithCancel(w.ctx)
	w.checks = newChecks(w.observe)
	w.pressure = newPressure(o.Log, w.changed)
	if err := w.run(o.Access); err != nil {
		w.cut()
		_ = conn.Close()
		return err
	}

	inbox := make(chan message)
	var pumps sync.WaitGroup
	pumps.Go(func() { w.receive(conn, inbox) })
	pumps.Go(func() { w.out.run(conn) })

	err := w.loop(ctx, inbox)
	w.close()
	w.out.close()
	_ = conn.Close()
	for m := range inbox {
		closeFiles(m.files)
	}
	pumps.Wait()
	return err
}

// run starts the loops that connections run on, the access log and the traces. close
// ends them.
func (w *worker) run(accessLog io.Writer) error {
	loops, err := reactor.New(reactor.Options{Panicked: func(v any, stack []byte) {
		w.log.Error("handler panicked", zap.Any("panic", v), zap.ByteString("stack", stack))
	}})
	if err != nil {
		return err
	}
	w.loops, w.access = loops, accesslog.New(accessLog)
	w.stats = stats.NewRegistry(len(loops.Loops()))
	w.tracer = trace.New()
	w.exporter = otlp.New(w.tracer, w.log, w.names.lookup)
	w.datagrams = udp.NewEngine(loops)
	w.engine = l7.NewEngine(loops, l7.Options{
		Observe: w.observe, Overloaded: w.pressure.overloaded, Access: w.access, Tracer: w.tracer, Stats: w.stats,
	})
	ctx, end := context.WithCancel(context.Background())
	logCtx, endLog := context.WithCancel(context.Background()) // of the traces, too
	w.end = end
	w.running.Go(func() {
		defer endLog() // then nothing is logged any more
		if err := loops.Run(ctx); err != nil {
			w.broken(err)
		}
	})
	w.running.Go(func() { w.pressure.run(ctx) })
	w.running.Go(func() { _ = w.exporter.Run(logCtx) }) // it returns nil
	w.running.Go(func() {
		if err := w.access.Run(logCtx); err != nil {
			w.log.Warn("access log", zap.Error(err))
		}
	})
	return nil
}

// loop never blocks: that it answers pings is how the supervisor knows that the
// worker lives.
func (w *worker) loop(ctx context.Context, inbox <-chan message) error {
	tick := time.NewTicker(publishEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-inbox:
			if !ok {
				inbox = nil
				w.orphan()
				continue
			}
			w.handle(m)
		case <-tick.C:
			w.publish(time.Now())
		case <-w.changedC:
			w.publish(time.Now())
		case err := <-w.brokenC:
			return err
		case <-w.drained:
			return nil
		}
	}
}

// receive hands the supervisor's messages to the loop, until there is no
// supervisor any more.
func (w *worker) receive(conn *Conn, inbox chan<- message) {
	defer close(inbox)
	for {
		m, files, err := conn.Receive()
		if err != nil {
			w.log.Info("control socket closed", zap.Error(err))
			return
		}
		if m.Found != nil {
			w.names.found(*m.Found) // the loop may be waiting for who has asked
			continue
		}
		inbox <- message{m, files}
	}
}

func (w *worker) handle(m message) {
	if m.Sockets == nil {
		closeFiles(m.files)
	}
	switch {
	case m.Ping != nil:
		w.out.put(ipc.FromWorker{Pong: m.Ping})
	case m.Sockets != nil:
		w.keep(*m.Sockets, m.files)
	case m.Config != nil:
		w.configure(*m.Config)
	case m.Files != nil:
		w.renew(*m.Files)
	case m.Tickets != nil:
		w.useTickets(m.Tickets.Keys)
	case m.Drain != nil:
		w.drain(m.Drain.Within)
	case m.Scrape != nil:
		w.publish(time.Now())
		w.out.put(ipc.FromWorker{Counts: &ipc.Counts{Seq: m.Scrape.Seq, Stats: w.stats.Snapshot(), Process: ipc.Process(usage.Read())}})
	}
}

// keep takes sockets over.
func (w *worker) keep(s ipc.Sockets, files []*os.File) {
	if len(files) != len(s.List) || w.draining() {
		w.log.Error("sockets refused", zap.Int("named", len(s.List)), zap.Int("received", len(files)),
			zap.Bool("draining", w.draining()))
		closeFiles(files)
		return
	}
	for i, name := range s.List {
		taken, err := takeSocket(files[i])
		if err != nil { // then the config that names it is refused
			w.log.Error("socket refused", zap.String("listener", name.Listener), zap.Stringer("bind", name.Bind), zap.Error(err))
			continue
		}
		if old := w.sockets[name]; old != nil {
			old.close()
		}
		w.sockets[name] = taken
	}
}

// configure applies c and says what came of it.
func (w *worker) configure(c ipc.WorkerConfig) {
	applied := ipc.Applied{Generation: c.Generation}
	if c.FilesKept {
		c.Files, c.FilesKept = w.config.Files, false
	}
	level, err := zapcore.ParseLevel(c.LogLevel)
	if err == nil {
		err = w.apply(c, time.Now())
	}
	if err != nil {
		applied.Error = err.Error()
		w.forgetSockets() // so that others can bind what only this config named
		w.log.Warn("config refused", zap.Uint64("generation", c.Generation), zap.Error(err))
	} else {
		w.level.SetLevel(level)
		w.log.Info("config applied", zap.Uint64("generation", c.Generation),
			zap.Int("listeners", len(w.listeners)), zap.Int("pools", len(w.pools)))
	}
	w.stats.Retain(&w.config.Spec)
	w.out.put(ipc.FromWorker{Applied: &applied})
	w.publish(time.Now())
}

// observe is called, from any goroutine, for what happened to a server.
func (w *worker) observe(s *upstream.Server, v upstream.Verdict) {
	if v.Check {
		w.checks.now(s)
	}
	if !v.Changed {
		return
	}
	st := s.Status(time.Now())
	w.log.Info("server health changed", zap.Stringer("server", s.Address()),
		zap.Stringer("health", st.Health), zap.String("reason", st.Reason))
	w.changed()
}

// changed has the state published soon. Any goroutine may call it.
func (w *worker) changed() {
	select {
	case w.changedC <- struct{}{}:
	default:
	}
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
