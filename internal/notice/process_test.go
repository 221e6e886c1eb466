package notice

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/labtest"
)

// childVariable makes the test binary an agent that has nothing but a Session,
// with these Options, and prints its events.
const childVariable = "TANDEM_NOTICE_TEST_OPTIONS"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		if err := child(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func child(text string) error {
	var o Options
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := New(o)
	go func() {
		out := json.NewEncoder(os.Stdout)
		for e := range s.Events() {
			if out.Encode(e) != nil {
				return
			}
		}
	}()
	return s.Run(ctx)
}

// agent is a child on a host of the lab.
type agent struct {
	t       *testing.T
	process *lab.Process
	eventC  chan Event
}

var addresses = map[string]netip.AddrPort{
	"lb1": netip.MustParseAddrPort("10.0.0.1:7947"),
	"lb2": netip.MustParseAddrPort("10.0.0.2:7947"),
}

func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	t.Parallel() // most of it is waiting
	return labtest.New(t, labtest.Host("lb1", "10.0.0.1/24"), labtest.Host("lb2", "10.0.0.2/24"))
}

func start(t *testing.T, l *lab.Lab, node, peer string) agent {
	t.Helper()
	o, err := json.Marshal(Options{Self: addresses[node], Peer: addresses[peer], Key: testKey, Node: node})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"="+string(o))
	cmd.Stderr = os.Stderr
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	a := agent{t: t, eventC: make(chan Event, 100)}
	a.process, err = l.Host(node).Start(cmd)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() { // until the child has ended
		defer close(a.eventC)
		defer r.Close()
		for lines := bufio.NewScanner(r); lines.Scan(); {
			var e Event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Errorf("%s prints %q", node, lines.Bytes())
				return
			}
			a.eventC <- e
		}
	}()
	t.Cleanup(func() {
		a.signal(syscall.SIGKILL)
		for range a.eventC {
		}
	})
	return a
}

func (a agent) signal(s syscall.Signal) {
	a.t.Helper()
	if err := a.process.Signal(s); err != nil {
		a.t.Fatal(err)
	}
}

// expect waits for an event of the first kind; those of the other kinds may come
// before it.
func (a agent) expect(want Kind, before ...Kind) Event {
	a.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		select {
		case e, ok := <-a.eventC:
			switch {
			case !ok:
				a.t.Fatalf("the process ended before its %s", want)
			case e.Kind == want:
				return e
			case !slices.Contains(before, e.Kind):
				a.t.Fatalf("got %s (%s), want %s", e.Kind, e.Evidence, want)
			}
		case <-deadline.C:
			a.t.Fatalf("no %s", want)
		}
	}
}

func (a agent) quiet() {
	a.t.Helper()
	select {
	case e := <-a.eventC:
		a.t.Errorf("got %s (%s), want nothing", e.Kind, e.Evidence)
	case <-time.After(aWhile):
	}
}

func TestAProcessThatIsKilledIsDeadAtOnce(t *testing.T) {
	l := newLab(t)
	survivor := start(t, l, "lb1", "lb2")
	for range 5 {
		victim := start(t, l, "lb2", "lb1")
		survivor.expect(Connected, Unreachable)
		victim.expect(Connected, Unreachable)
		killed := time.Now()
		victim.signal(syscall.SIGKILL)
		died := survivor.expect(Died)
		t.Logf("killed, and known dead after %s: %s", died.At.Sub(killed), died.Evidence)
		// It ends by a reset when the victim had not read everything.
		want := []string{
			`the session with "lb2" at 10.0.0.2:7947 ended (EOF), then: connection refused`,
			`the session with "lb2" at 10.0.0.2:7947 ended (reset), then: connection refused`,
		}
		if !slices.Contains(want, died.Evidence) {
			t.Errorf("the evidence is %q, want one of %q", died.Evidence, want)
		}
	}
}

func TestAProcessThatLeavesIsNotDead(t *testing.T) {
	l := newLab(t)
	survivor := start(t, l, "lb1", "lb2")
	leaver := start(t, l, "lb2", "lb1")
	survivor.expect(Connected, Unreachable)
	leaver.signal(syscall.SIGTERM)
	survivor.expect(Goodbye)
	survivor.quiet()
	if err := leaver.process.Err(); err != nil {
		t.Error(err)
	}
}

func TestAProcessThatIsStoppedIsNotDeadUntilItDies(t *testing.T) {
	l := newLab(t)
	survivor := start(t, l, "lb1", "lb2")
	frozen := start(t, l, "lb2", "lb1")
	survivor.expect(Connected, Unreachable)
	frozen.expect(Connected, Unreachable)
	frozen.signal(syscall.SIGSTOP)
	survivor.quiet()
	frozen.signal(syscall.SIGCONT)
	frozen.signal(syscall.SIGSTOP)
	frozen.signal(syscall.SIGKILL)
	survivor.expect(Died)
}

func TestACutIsNoDeath(t *testing.T) {
	l := newLab(t)
	survivor := start(t, l, "lb1", "lb2")
	victim := start(t, l, "lb2", "lb1")
	survivor.expect(Connected, Unreachable)
	victim.expect(Connected, Unreachable)

	for name, cut := range map[string]func() error{"seen": l.Host("lb2").Cut, "silent": l.Host("lb2").CutSilently} {
		t.Logf("# a cut that is %s", name)
		if err := cut(); err != nil {
			t.Fatal(err)
		}
		survivor.quiet()
		if err := l.Host("lb2").Heal(); err != nil {
			t.Fatal(err)
		}
		survivor.quiet()
	}

	t.Log("# who dies behind a cut is not known to be dead")
	if err := l.Host("lb2").CutSilently(); err != nil {
		t.Fatal(err)
	}
	victim.signal(syscall.SIGKILL)
	<-victim.process.Done()
	survivor.quiet()

	t.Log("# before it heals")
	if err := l.Host("lb2").Heal(); err != nil {
		t.Fatal(err)
	}
	start(t, l, "lb2", "lb1")
	died := survivor.expect(Died)
	t.Log(died.Evidence)
	survivor.expect(Connected)
}

func TestAProcessThatIsRestartedIsDeadFirst(t *testing.T) {
	l := newLab(t)
	survivor := start(t, l, "lb1", "lb2")
	victim := start(t, l, "lb2", "lb1")
	survivor.expect(Connected, Unreachable)
	victim.expect(Connected, Unreachable)
	victim.signal(syscall.SIGKILL)
	start(t, l, "lb2", "lb1").expect(Connected, Unreachable, Deaf)
	survivor.expect(Died)
	survivor.expect(Connected)
	survivor.quiet()
}
