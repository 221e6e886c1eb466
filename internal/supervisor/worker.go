package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/child"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/listen"
	"github.com/tandemlb/tandem/internal/metrics"
	"github.com/tandemlb/tandem/internal/telemetry"
	"github.com/tandemlb/tandem/proxy"
)

const (
	pingEvery = 250 * time.Millisecond
	// silentPings is how many pings in a row a worker may leave unanswered before
	// it counts as hung. A busy Go process on a crowded machine was seen to be
	// late by half a second; a hung one is never going to answer.
	silentPings = 8
	// firstPings is the same for one that has yet to answer for the first time: on a
	// crowded or emulated host, a program takes seconds to begin.
	firstPings = uint64(beginWithin / pingEvery)
	// applyTimeout bounds the time a worker takes to change its config.
	applyTimeout = 5 * time.Second
)

type workerConn = ipc.Conn[ipc.FromWorker, ipc.ToWorker]

// serving is what the worker has to serve, with the sockets for it.
type serving struct {
	config  ipc.WorkerConfig
	sockets map[listen.Endpoint]*os.File
}

// workerLink keeps the worker running and serving. It is told once what to
// serve, and tells each worker that it starts.
type workerLink struct {
	log     *zap.Logger
	family  child.Family
	cred    *syscall.Credential
	changed func() // view has changed; must not block

	scraper  metrics.Scraper
	applying sync.Mutex // one config at a time

	mu       sync.Mutex
	conn     *workerConn // nil while it is not running
	proc     *child.Process
	serving  serving    // applied last; what a new worker is given
	tickets  [][32]byte // keys of session tickets; see ipc.Tickets
	sent     map[ipc.Socket]bool
	files    proxy.Files // that the running worker has; nil: it is to be given them
	waiting  map[uint64]chan ipc.Applied
	ready    bool
	lost     bool   // it is given up, whatever it still says
	answered uint64 // sequence of the newest pong
	state    *ipc.WorkerState
	err      error // why it is not ready; nil while it starts
	ends     ends
	leaving  bool
}

// ends is what is known of the children of one kind that have ended.
type ends struct {
	count uint64
	last  error // how the newest one ended, or why it could not start
}

func (e *ends) note(err error) { e.count, e.last = e.count+1, err }

// errEnded is what give returns when the end of the worker came before its answer.
var errEnded = errors.New("the worker ended while it was given the config")

func (w *workerLink) run(ctx context.Context) {
	child.Keep(ctx, "worker", w.log, w.session)
}

// session runs one worker until it has ended.
func (w *workerLink) session(ctx context.Context) error {
	if w.left() {
		return child.ErrLeft
	}
	conn, theirs, err := ipc.Pair[ipc.FromWorker, ipc.ToWorker]("worker")
	if err != nil {
		return err
	}
	defer conn.Close()
	proc, err := w.family.Start("worker", theirs, w.cred)
	if err != nil {
		return w.ended(err)
	}
	if !w.admit(conn, proc) {
		proc.Kill() // it has nothing to drain
		return child.ErrLeft
	}

	watched, stop := context.WithCancel(ctx)
	defer stop()
	go w.watch(watched, conn, proc)
	restoredC := make(chan error, 1)
	go func() {
		err := w.restore(watched)
		if err != nil {
			proc.Kill()
		}
		restoredC <- err
	}()
	askedC := make(chan ipc.Lookup, 1)
	var answering sync.WaitGroup
	answering.Go(func() { w.lookup(watched, conn, askedC) })
	err = w.receive(conn, askedC)
	close(askedC)
	w.unready("the worker has ended")
	select {
	case <-proc.Done:
	case <-time.After(endTimeout):
		proc.Kill() // it closed the socket and lives on
	}
	err = errors.Join(err, proc.Ending())
	stop()
	answering.Wait()
	if cause := <-restoredC; cause != nil && !errors.Is(cause, errEnded) {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	return w.ended(err)
}

// left reports whether the worker has been told to drain: there is no other one
// after it.
func (w *workerLink) left() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leaving
}

// admit makes proc the running worker, unless there is to be none: drain knows of
// no worker before.
func (w *workerLink) admit(conn *workerConn, proc *child.Process) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leaving {
		return false
	}
	w.conn, w.proc, w.lost, w.err, w.files = conn, proc, false, nil, nil
	w.sent, w.waiting, w.answered = map[ipc.Socket]bool{}, map[uint64]chan ipc.Applied{}, 0
	w.sendTickets()
	return true
}

// unready has the node yield before anything else is done about the worker.
func (w *workerLink) unready(reason string) {
	w.mu.Lock()
	w.ready, w.lost, w.err = false, true, errors.New(reason)
	w.mu.Unlock()
	w.changed()
}

// ended takes note that the worker has ended, and returns why session ends.
func (w *workerLink) ended(err error) error {
	defer w.changed()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn, w.proc, w.ready, w.err, w.state = nil, nil, false, err, nil
	w.waiting = nil
	w.scraper.Forget()
	if w.leaving {
		return child.ErrLeft
	}
	w.ends.note(err)
	return err
}

// watch ends a worker that does not answer, and any worker when ctx is done.
func (w *workerLink) watch(ctx context.Context, conn *workerConn, proc *child.Process) {
	// Pings are counted, not timed: when this process was stopped too, the worker
	// is not to blame.
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for seq := uint64(1); ; seq++ {
		select {
		case <-proc.Done:
			return
		case <-ctx.Done():
			proc.Kill()
			return
		case <-ticker.C:
		}
		w.mu.Lock()
		silent, allowed := seq-1-w.answered, uint64(silentPings)
		if w.answered == 0 {
			allowed = firstPings
		}
		w.mu.Unlock()
		if silent >= allowed {
			w.log.Error("the worker does not answer, ending it", zap.Uint64("pings", silent), telemetry.Always())
			w.unready("the worker does not answer")
			proc.Kill()
			return
		}
		if err := conn.Send(ipc.ToWorker{Ping: &ipc.Ping{Seq: seq}}); err != nil && ctx.Err() == nil {
			w.log.Debug("ping the worker", zap.Error(err))
		}
	}
}

func (w *workerLink) receive(conn *workerConn, asked chan<- ipc.Lookup) error {
	for {
		m, files, err := conn.Receive()
		for _, f := range files {
			f.Close()
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		w.mu.Lock()
		switch {
		case m.Pong != nil:
			w.answered = max(w.answered, m.Pong.Seq)
		case m.State != nil:
			if w.state == nil && len(m.State.Sandbox.Missing) > 0 {
				w.log.Info("the worker runs without a part of its sandbox", zap.Strings("missing", m.State.Sandbox.Missing))
			}
			w.state = m.State
		case m.Lookup != nil:
			select {
			case asked <- *m.Lookup:
			default: // it asks too much
			}
		case m.Counts != nil:
			w.scraper.Answered(m.Counts)
		case m.Applied != nil:
			if c := w.waiting[m.Applied.Generation]; c != nil {
				c <- *m.Applied // capacity 1
				delete(w.waiting, m.Applied.Generation)
			}
		}
		w.mu.Unlock()
		w.changed()
	}
}

// apply has the running worker serve s. On an error it serves what it served
// before, and so will the next one.
func (w *workerLink) apply(ctx context.Context, s serving) error {
	w.applying.Lock()
	defer w.applying.Unlock()
	return w.give(ctx, s)
}

// prime sets what the first worker is given. It is called before run.
func (w *workerLink) prime(c ipc.WorkerConfig) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serving.config = c
}

// restore has a new worker serve what the last one did, or what a reload has given
// it meanwhile.
func (w *workerLink) restore(ctx context.Context) error {
	w.applying.Lock()
	defer w.applying.Unlock()
	w.mu.Lock()
	s := w.serving
	w.mu.Unlock()
	return w.give(ctx, s)
}

// give is apply for a caller that holds applying.
func (w *workerLink) give(ctx context.Context, s serving) error {
	g, err := w.send(s)
	if err != nil {
		return err
	}
	if err := g.await(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	w.serving, w.sent, w.files = s, g.sockets, s.config.Files
	if !w.leaving && !w.lost && w.proc == g.proc {
		w.ready, w.err = true, nil
	}
	w.mu.Unlock()
	w.changed()
	return nil
}

// renew has the running worker, and those after it, take changed files of what it
// serves. On an error those after it are given the files of before.
func (w *workerLink) renew(ctx context.Context, f ipc.Files) error {
	w.applying.Lock()
	defer w.applying.Unlock()
	w.mu.Lock()
	before := w.serving.config.Files
	w.mu.Unlock()
	g, err := w.sendFiles(f)
	if err == nil && g.proc != nil {
		err = g.await(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.serving.config.Files = before
	case g.proc != nil:
		w.files = w.serving.config.Files
	}
	return err
}

// sendFiles gives the worker f. Without one that serves the next is given all files,
// with its config.
func (w *workerLink) sendFiles(f ipc.Files) (given, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := maps.Clone(w.serving.config.Files)
	maps.Copy(all, f.Files)
	w.serving.config.Files, w.files = all, nil
	if w.conn == nil || !w.ready {
		return given{}, nil
	}
	answer := make(chan ipc.Applied, 1)
	w.waiting[f.Generation] = answer
	if err := w.conn.Send(ipc.ToWorker{Files: &f}); err != nil {
		return given{}, err
	}
	return given{proc: w.proc, answer: answer, within: applyTimeout}, nil
}

// await waits until the worker has what was sent to it.
func (g given) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.within)
	defer cancel()
	select {
	case a := <-g.answer:
		if a.Error != "" {
			return fmt.Errorf("the worker refuses the config: %s", a.Error)
		}
	case <-g.proc.Done:
		return errEnded
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return errEnded
		}
		// It may take the config yet, or have taken it: then it would serve another
		// one than this process believes. The next worker gets the old one.
		g.proc.Kill()
		return fmt.Errorf("the worker did not take the config within %v", g.within)
	}
	return nil
}

// given is a config, or files of one, on the way.
type given struct {
	proc    *child.Process // the worker that it was sent to
	answer  <-chan ipc.Applied
	within  time.Duration       // that the worker may take
	sockets map[ipc.Socket]bool // with those of the config
}

// send gives the worker the sockets of s that it does not serve yet, and the
// config. When the worker agrees, it has the sockets that are returned; when it
// refuses, it keeps those that it had.
func (w *workerLink) send(s serving) (given, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return given{}, errors.New("the worker is not running")
	}
	wanted := map[ipc.Socket]bool{}
	var batch ipc.Sockets
	var files []*os.File
	flush := func() error {
		if len(files) == 0 {
			return nil
		}
		err := w.conn.Send(ipc.ToWorker{Sockets: &batch}, files...)
		batch.List, files = nil, nil
		return err
	}
	for _, l := range s.config.Spec.Listeners {
		for _, bind := range l.Bind {
			socket := ipc.Socket{Listener: l.Name, Bind: bind, UDP: l.Protocol == proxy.UDP}
			wanted[socket] = true
			if w.sent[socket] {
				continue
			}
			batch.List, files = append(batch.List, socket), append(files, s.sockets[listen.Endpoint{Addr: bind, UDP: socket.UDP}])
			if len(files) == ipc.MaxFiles {
				if err := flush(); err != nil {
					return given{}, err
				}
			}
		}
	}
	if err := flush(); err != nil {
		return given{}, err
	}
	answer := make(chan ipc.Applied, 1)
	w.waiting[s.config.Generation] = answer
	config := s.config
	if maps.EqualFunc(w.files, config.Files, bytes.Equal) {
		config.Files, config.FilesKept = nil, true
	}
	if err := w.conn.Send(ipc.ToWorker{Config: &config}); err != nil {
		return given{}, err
	}
	within := applyTimeout
	if w.answered == 0 { // it has yet to begin
		within = beginWithin
	}
	return given{proc: w.proc, answer: answer, within: within, sockets: wanted}, nil
}

// drain has the worker finish what it has begun, and waits until it has ended.
// From the beginning of that the node is not fit any more, and says so.
func (w *workerLink) drain(within time.Duration) {
	w.mu.Lock()
	w.leaving = true
	proc, conn := w.proc, w.conn
	w.mu.Unlock()
	w.unready("the node is stopping")
	if proc == nil {
		return
	}
	if err := conn.Send(ipc.ToWorker{Drain: &ipc.Drain{Within: within}}); err != nil {
		w.log.Warn("drain the worker", zap.Error(err))
	}
	select {
	case <-proc.Done:
	case <-time.After(within + endTimeout):
		w.log.Error("the worker does not end, ending it", telemetry.Always())
		proc.Kill()
	}
}

// workerView is what is known of the worker.
type workerView struct {
	pid     int
	ends    ends
	ready   bool             // it serves
	err     error            // why it does not; nil while it starts
	state   *ipc.WorkerState // nil until the running worker has reported
	serving ipc.WorkerConfig
}

// why says why the worker does not serve, or how the last one ended.
func (v workerView) why() error {
	if v.err != nil {
		return v.err
	}
	return v.ends.last
}

// servers counts the servers that are checked, and those of them that the worker
// does not hold for dead. A server without a check says nothing: only the node
// that has traffic for it can know.
func (v workerView) servers() judge.Servers {
	found := judge.Servers{Notices: judge.Notices(v.serving.Spec)}
	if v.state == nil {
		return found
	}
	for _, p := range v.state.Pools {
		for _, s := range p.Servers {
			if !s.Checked {
				continue
			}
			found.Checked++
			if s.Health != "down" {
				found.Reachable++
			}
		}
	}
	return found
}

func (w *workerLink) view() workerView {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := workerView{ends: w.ends, ready: w.ready, err: w.err, state: w.state, serving: w.serving.config}
	if w.proc != nil {
		v.pid = w.proc.PID
	}
	return v
}
