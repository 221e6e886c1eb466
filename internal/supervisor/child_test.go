package supervisor

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tandemlb/tandem/internal/child"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/report"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = 20 * time.Second

// conduct is the environment variable that tells a child what to be like.
const conduct = "TANDEM_TEST_CONDUCT"

// TestMain makes the test binary the children too, which spawn starts by the name
// of their subcommand.
func TestMain(m *testing.M) {
	if os.Args[0] == "tandem" {
		play(os.Args[1], os.Getenv(conduct))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play is a child: it returns when the supervisor is gone, or when it is told to
// leave or to drain. A worker reports each generation that it was given as a listener
// which has accepted so many, with the files as requests, and the first byte of the keys
// of tickets likewise.
func play(name, conduct string) {
	control := os.NewFile(3, "control")
	if name == "agent" {
		conn, err := ipc.New[ipc.ToAgent, ipc.FromAgent](control)
		if err != nil {
			panic(err)
		}
		for {
			m, _, err := conn.Receive()
			if err != nil || m.Leave != nil {
				return
			}
			if conduct == "lacks" {
				conn.Send(ipc.FromAgent{State: &ipc.AgentState{Realtime: "no SCHED_RR", Locked: "no mlockall"}})
			}
		}
	}
	if conduct == "begins late" {
		<-time.After((silentPings + 2) * pingEvery)
	}
	conn, err := ipc.New[ipc.ToWorker, ipc.FromWorker](control)
	if err != nil {
		panic(err)
	}
	var given ipc.WorkerState
	asked := 0
	for {
		m, files, err := conn.Receive()
		for _, f := range files {
			f.Close()
		}
		switch {
		case err != nil, m.Drain != nil:
			return
		case m.Ping != nil:
			conn.Send(ipc.FromWorker{Pong: m.Ping})
		case m.Tickets != nil:
			given.Listeners = append(given.Listeners, ipc.ListenerState{Name: "tickets", Accepted: uint64(m.Tickets.Keys[0][0])})
			conn.Send(ipc.FromWorker{State: &given})
		case m.Scrape != nil:
			asked++
			conn.Send(ipc.FromWorker{Counts: &ipc.Counts{Seq: m.Scrape.Seq, Process: ipc.Process{Goroutines: asked}}})
		case m.Config != nil:
			applied := ipc.Applied{Generation: m.Config.Generation}
			given.Listeners = append(given.Listeners, ipc.ListenerState{Accepted: m.Config.Generation, Requests: uint64(len(m.Config.Files))})
			conn.Send(ipc.FromWorker{State: &given})
			switch conduct {
			case "mute later":
				if applied.Generation > 1 {
					continue
				}
			case "slow":
				<-time.After(200 * time.Millisecond)
			case "panics":
				panic("oops")
			case "refuses":
				applied.Error = "no socket was handed over"
			}
			conn.Send(ipc.FromWorker{Applied: &applied})
		case m.Files != nil:
			given.Listeners = append(given.Listeners, ipc.ListenerState{Name: "files", Accepted: uint64(len(m.Files.Files))})
			conn.Send(ipc.FromWorker{State: &given})
			applied := ipc.Applied{Generation: m.Files.Generation}
			if conduct == "refuses files" {
				applied.Error = "no room for files"
			}
			conn.Send(ipc.FromWorker{Applied: &applied})
		}
	}
}

func newAgentLink() *agentLink {
	return &agentLink{log: zap.NewNop(), changed: func() {}, fitness: ipc.Fitness{Fit: true},
		sweep: func([]netip.Prefix) ([]string, error) { return nil, nil }}
}

func newWorkerLink() *workerLink {
	return &workerLink{log: zap.NewNop(), changed: func() {}, serving: serving{config: ipc.WorkerConfig{Generation: 1}}}
}

// background runs f, and has it end, and waits for that, at the end of the test.
func background(t *testing.T, f func(context.Context)) (done <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := make(chan struct{})
	go func() {
		defer close(c)
		f(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-c
	})
	return c
}

func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// TestNoChildStartsAfterTheLastWord: the word came while none was running, between
// the end of one and the start of the next.
func TestNoChildStartsAfterTheLastWord(t *testing.T) {
	a, w := newAgentLink(), newWorkerLink()
	a.leave(patience)
	w.drain(patience)
	for name, session := range map[string]func(context.Context) error{"agent": a.session, "worker": w.session} {
		t.Run(name, func(t *testing.T) {
			var err error
			await(t, "the session ends", background(t, func(ctx context.Context) { err = session(ctx) }))
			if !errors.Is(err, child.ErrLeft) {
				t.Errorf("got %v, want %v", err, child.ErrLeft)
			}
		})
	}
}

// TestChildThatCameTooLateIsToldNothing: the word came after its start, and before
// anybody knew of it.
func TestChildThatCameTooLateIsToldNothing(t *testing.T) {
	a, w := newAgentLink(), newWorkerLink()
	a.leave(patience)
	w.drain(patience)
	if a.greet(nil, &child.Process{}) || a.view().pid != 0 {
		t.Error("the agent was greeted")
	}
	if w.admit(nil, &child.Process{}) || w.view().pid != 0 {
		t.Error("the worker was admitted")
	}
}

func TestDrainingWorkerDoesNotServe(t *testing.T) {
	w := newWorkerLink()
	var told atomic.Bool
	w.changed = func() {
		if v := w.view(); !v.ready && v.err != nil && v.err.Error() == "the node is stopping" {
			told.Store(true)
		}
	}
	done := background(t, w.run)
	eventually(t, "the worker serves", func() bool { return w.view().ready })
	w.drain(patience)
	if !told.Load() {
		t.Error("nobody was told that the node is stopping")
	}
	await(t, "the link ends", done)
}

func TestConfigDoesNotMakeAStoppingNodeFit(t *testing.T) {
	w := newWorkerLink()
	background(t, w.run)
	eventually(t, "the worker serves", func() bool { return w.view().ready })
	w.mu.Lock()
	w.leaving, w.ready = true, false
	w.mu.Unlock()
	if err := w.apply(t.Context(), serving{config: ipc.WorkerConfig{Generation: 2}}); err != nil {
		t.Fatal(err)
	}
	if w.view().ready {
		t.Error("it serves")
	}
}

func TestReasonOfAnEndIsKept(t *testing.T) {
	t.Run("a worker that refuses its first config", func(t *testing.T) {
		t.Setenv(conduct, "refuses")
		w := newWorkerLink()
		background(t, w.run)
		eventually(t, "it has ended", func() bool { return w.view().ends.count > 0 })
		const want = "the worker refuses the config: no socket was handed over"
		if got := report.Text(w.view().ends.last); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("a worker that was killed, and runs again", func(t *testing.T) {
		w := newWorkerLink()
		background(t, w.run)
		eventually(t, "it serves", func() bool { return w.view().ready })
		kill(t, w.view().pid)
		eventually(t, "it serves again", func() bool { v := w.view(); return v.ready && v.ends.count == 1 })
		if got := report.Text(w.view().why()); !strings.Contains(got, "signal: killed") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("an agent that was killed, and runs again", func(t *testing.T) {
		a := newAgentLink()
		background(t, a.run)
		eventually(t, "it runs", func() bool { return a.view().pid != 0 })
		kill(t, a.view().pid)
		eventually(t, "it runs again", func() bool { v := a.view(); return v.pid != 0 && v.ends.count == 1 })
		if got := agentProcess(a.view()).Error; !strings.Contains(got, "signal: killed") {
			t.Errorf("got %q", got)
		}
	})
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// A program takes its time to begin on a crowded host: longer than one that has begun
// may be silent.
func TestWorkerMayBeginLate(t *testing.T) {
	t.Setenv(conduct, "begins late")
	w := newWorkerLink()
	background(t, w.run)
	eventually(t, "it serves", func() bool { return w.view().ready })
	if ends := w.view().ends.count; ends != 0 {
		t.Errorf("%d workers ended before", ends)
	}
}

func TestWorkerThatIsGivenUpIsNotReadyAgain(t *testing.T) {
	t.Setenv(conduct, "slow")
	w := newWorkerLink()
	background(t, w.run)
	eventually(t, "it serves", func() bool { return w.view().ready })
	done := background(t, func(ctx context.Context) {
		_ = w.apply(ctx, serving{config: ipc.WorkerConfig{Generation: 2}})
	})
	eventually(t, "it was given the config", func() bool { return len(w.view().state.Listeners) == 2 })
	w.unready("the worker does not answer")
	await(t, "it has taken the config", done)
	if v := w.view(); v.ready || v.err == nil || v.err.Error() != "the worker does not answer" {
		t.Errorf("ready %t, %v", v.ready, v.err)
	}
}

func TestStartThatHangsSaysSo(t *testing.T) {
	s := &Supervisor{worker: newWorkerLink()}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := s.awaitFirst(ctx)
	if want := "start: the worker does not serve within 30s"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestReloadEndsWithItsWorker: at once, although the worker's successor waits for
// the reload.
func TestReloadEndsWithItsWorker(t *testing.T) {
	t.Setenv(conduct, "mute later")
	w := newWorkerLink()
	background(t, w.run)
	eventually(t, "it serves", func() bool { return w.view().ready })
	pid := w.view().pid
	var err error
	done := background(t, func(ctx context.Context) {
		err = w.apply(ctx, serving{config: ipc.WorkerConfig{Generation: 2}})
	})
	eventually(t, "it was given the config", func() bool {
		v := w.view()
		return v.state != nil && len(v.state.Listeners) == 2
	})
	kill(t, pid)
	await(t, "the reload ends", done)
	if !errors.Is(err, errEnded) {
		t.Errorf("got %v, want %v", err, errEnded)
	}
}

func TestWhatTheAgentLacksIsLoggedOnce(t *testing.T) {
	t.Setenv(conduct, "lacks")
	core, logs := observer.New(zap.WarnLevel)
	a := newAgentLink()
	a.log = zap.New(core)
	var states atomic.Int64
	a.changed = func() { states.Add(1) }
	background(t, a.run)
	eventually(t, "it has reported twice", func() bool { return states.Load() >= 2 })
	var got []string
	for _, l := range logs.All() {
		got = append(got, l.Message+": "+l.ContextMap()["reason"].(string))
	}
	want := []string{"the agent does not run under a real-time scheduler: no SCHED_RR", "the agent's memory is not locked: no mlockall"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The trace of a crash is in the log, in lines of its own, by the name of who crashed.
func TestCrashOfAChildIsLogged(t *testing.T) {
	t.Setenv(conduct, "panics")
	core, logs := observer.New(zap.InfoLevel)
	w := newWorkerLink()
	w.family = child.Family{Node: "lb1", Log: zap.New(core)}
	background(t, w.run)
	eventually(t, "it has ended", func() bool { return w.view().ends.count > 0 })
	crashed := logs.FilterMessage("crashed").All()
	if len(crashed) == 0 {
		t.Fatalf("logged %v", logs.All())
	}
	fields := crashed[0].ContextMap()
	if text := fields["text"].(string); !strings.HasPrefix(text, "panic: oops") || !strings.Contains(text, "supervisor.play") {
		t.Errorf("the trace is %q", text)
	}
	if fields["process"] != "worker" || fields["node"] != "lb1" || fields["pid"] == int64(os.Getpid()) {
		t.Errorf("the line is of %v", fields)
	}
}
