// Package worker composes the data plane in its process: it serves what the
// supervisor tells it on the sockets that the supervisor hands over.
package worker

import (
	"context"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/upstream"
)

const (
	// connectTimeout bounds one connect to a server.
	connectTimeout = 2 * time.Second
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
	log    *zap.Logger
	level  zap.AtomicLevel // of log
	out    *outbox
	dialer *dial.Dialer
	checks *checks

	sockets   map[ipc.Socket]*os.File
	listeners []*listener // in the order of the config
	pools     []*pool     // in the order of the config

	ctx      context.Context // ends when connections must
	cut      context.CancelFunc
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

// Run serves until the supervisor asks for a drain, or dies, and the connections
// have finished; then it returns nil. The end of ctx ends everything at once. Run
// closes conn, and sets level, which is that of log, to the config's.
func Run(ctx context.Context, conn *Conn, log *zap.Logger, level zap.AtomicLevel) error {
	w := &worker{
		log:      log,
		level:    level,
		out:      newOutbox(),
		sockets:  make(map[ipc.Socket]*os.File),
		drained:  make(chan struct{}),
		changedC: make(chan struct{}, 1),
		brokenC:  make(chan error, 1),
	}
	w.ctx, w.cut = context.WithCancel(context.Background())
	w.dialer = &dial.Dialer{Timeout: connectTimeout, Observe: w.observe}
	w.checks = newChecks(w.observe)

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
				w.drain(orphanDrain)
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
	case m.Drain != nil:
		w.drain(m.Drain.Within)
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
		if old := w.sockets[name]; old != nil {
			old.Close()
		}
		w.sockets[name] = files[i]
	}
}

// configure applies c and says what came of it.
func (w *worker) configure(c ipc.WorkerConfig) {
	applied := ipc.Applied{Generation: c.Generation}
	level, err := zapcore.ParseLevel(c.LogLevel)
	if err == nil {
		err = w.apply(c.Spec, time.Now())
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
