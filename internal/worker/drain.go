package worker

import (
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/ipc"
)

func (w *worker) draining() bool { return !w.deadline.IsZero() }

// orphan drains without a supervisor. The next one binds the addresses anew, which it
// cannot while a socket is open: connections of TCP go on without the one that they
// came by, sessions of UDP end with it.
func (w *worker) orphan() {
	w.unbind()
	w.drain(orphanDrain)
}

// drain stops accepting at once and lets connections finish for at most within.
// During a drain it can only bring the end nearer.
func (w *worker) drain(within time.Duration) {
	deadline := time.Now().Add(within)
	if w.draining() {
		if deadline.Before(w.deadline) {
			w.deadline = deadline
			w.cutter.Reset(within)
		}
		return
	}
	w.log.Info("draining", zap.Duration("within", within))
	w.deadline = deadline
	w.cutter = time.AfterFunc(within, w.cut)
	w.stopListening()
	go func() {
		w.services.Wait()
		close(w.drained)
	}()
}

// stopListening leaves no socket open, so that others can bind the addresses.
func (w *worker) stopListening() {
	for _, l := range w.listeners {
		w.retire(l)
	}
	w.listeners = nil
	for name, s := range w.sockets {
		s.close()
		delete(w.sockets, name)
	}
}

// close ends what is left, and waits for it.
func (w *worker) close() {
	w.cut()
	if !w.draining() {
		w.drain(0)
	}
	<-w.drained
	w.cutter.Stop()
	w.checks.close()
	for _, p := range w.pools {
		p.backend.Retire(nil)
	}
	w.end()
	w.running.Wait()
}

// retire stops l; its connections finish on their own.
func (w *worker) retire(l *listener) {
	for _, b := range l.binds {
		b.stop()
	}
	w.services.Go(func() { l.service.Shutdown(w.ctx) })
}

// publish sends the state.
func (w *worker) publish(now time.Time) {
	w.out.put(ipc.FromWorker{State: w.state(now)})
}

func (w *worker) state(now time.Time) *ipc.WorkerState {
	st := ipc.WorkerState{Overload: w.pressure.state(), LogDropped: w.access.Dropped(), Traces: ipc.Traces(w.exporter.Stats()), Panics: w.loops.Panics(), Sandbox: w.sandbox}
	for _, l := range w.listeners {
		t := l.service.Traffic()
		st.Listeners = append(st.Listeners, ipc.ListenerState{
			Name:        l.spec.Name,
			Connections: t.Open,
			Accepted:    t.Accepted,
			Requests:    t.Requests,
			Failed:      t.Failed,
			Shed:        t.Shed,
			Refused:     t.Refused,
			TLS:         t.TLS,
			In:          t.In,
			Out:         t.Out,
		})
	}
	for _, p := range w.pools {
		st.Pools = append(st.Pools, p.state(now))
	}
	return &st
}
