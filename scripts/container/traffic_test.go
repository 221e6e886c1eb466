package container

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/probe"
)

// pace is the time between two requests, each a new connection.
const pace = 5 * time.Millisecond

// TestMain is the client, too, as a process that can be in another network.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "prober" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		p := probe.Prober{Target: netip.AddrPortFrom(netip.MustParseAddr(os.Args[2]), 80), Every: pace}
		if err := p.Run(ctx, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// traffic are requests to a VIP that two nodes share.
type traffic struct {
	*probe.Recorder
	// look returns the nodes that have the VIP, and whom of them the client believes.
	look func() (owners []string, believed string)
}

// startTraffic begins to ask the VIP, on a host of a lab unless that is nil, by way of
// the command before unless that is empty. It goes on until the test ends.
func startTraffic(t *testing.T, on *lab.Host, target netip.Addr, before ...string) *traffic {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	words := append(before, program, "prober", target.String())
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start := cmd.Start
	if on != nil {
		start = func() error { return on.Do(cmd.Start) }
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	f := &traffic{Recorder: probe.NewRecorder()}
	recorded := make(chan error, 1)
	go func() { recorded <- f.Record(out) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-recorded // it ends with the process
		_ = cmd.Wait()
	})
	return f
}

// served waits until the client is answered, if not always: the machine may be busy. It
// returns the time up to which that is known.
func (f *traffic) served(t *testing.T) time.Time {
	t.Helper()
	const lately = 300 * time.Millisecond
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("the client is not served"))
	defer cancel()
	for begin := time.Now(); ; {
		now := time.Now()
		if err := f.WaitSettled(ctx, now); err != nil {
			t.Fatal(err)
		}
		if w := f.Window(now.Add(-lately), now); now.Sub(begin) >= lately && w.Requests > 0 && w.Failed < w.Requests/2 {
			return now
		}
	}
}

// measure has an event happen, waits until heir has the VIP and the client is served
// there, and returns what the client felt.
func (f *traffic) measure(t *testing.T, event, heir string, do func() error) probe.Window {
	t.Helper()
	at := time.Now()
	if err := do(); err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	eventually(t, event+": the client is with "+heir, func() (bool, string) {
		owners, believed := f.look()
		return slices.Contains(owners, heir) && believed == heir, fmt.Sprintf("owners %v, the client believes %q", owners, believed)
	})
	w := f.Window(at.Add(-4*pace), f.served(t))
	t.Logf("%-28s -> %s  no answer for %4d ms, %d of %d requests failed %v (the prober itself was held up for %d ms at most)",
		event, heir, w.Outage.Milliseconds(), w.Failed, w.Requests, w.Failures, w.Stall.Milliseconds())
	return w
}

// lastWords returns the end of a log, without lines of the access log.
func lastWords(log string) string {
	lines := slices.DeleteFunc(strings.Split(log, "\n"), func(line string) bool { return strings.HasPrefix(line, `{"time":`) })
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}
