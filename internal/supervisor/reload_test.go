package supervisor

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/listen"
	"github.com/tandemlb/tandem/internal/metrics"
	"github.com/tandemlb/tandem/internal/timeline"
)

// newPlainNode is a node that is a proxy alone, with its worker running.
func newPlainNode(t *testing.T, config string) *Supervisor {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tandem.yaml")
	o := Options{ConfigPath: path, Log: zap.NewNop(), Level: zap.NewAtomicLevel()}
	rewrite(t, o, config)
	first, err := load(o, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &Supervisor{o: o, changedC: make(chan struct{}, 1), now: first, fit: starting, generation: 1, history: timeline.New(timeline.Options{}), servers: newServers()}
	s.metrics = metrics.NewEndpoint(metrics.Handler(s, o.Log), o.Log)
	t.Cleanup(s.metrics.Close)
	if s.sockets, _, err = listen.Bind(t.Context(), first.config.Proxy, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listen.Close(s.sockets) })
	if err := s.compose(first); err != nil {
		t.Fatal(err)
	}
	background(t, s.worker.run)
	eventually(t, "the worker serves", func() bool { return s.worker.view().ready })
	return s
}

func rewrite(t *testing.T, o Options, config string) {
	t.Helper()
	if err := os.WriteFile(o.ConfigPath, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
}

// proxyConfig is a config with a listener on each of the addresses.
func proxyConfig(binds ...string) string {
	text := "listeners:\n"
	for i, b := range binds {
		text += "  web" + string(rune('a'+i)) + ": {bind: \"" + b + "\", servers: [127.0.0.1:1]}\n"
	}
	return text
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestReloadIsNotInterrupted(t *testing.T) {
	t.Setenv(conduct, "slow")
	a, b := freeAddress(t), freeAddress(t)
	s := newPlainNode(t, proxyConfig(a))
	rewrite(t, s.o, proxyConfig(a, b))
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if err := s.Reload(ctx); err != nil {
		t.Fatalf("the reload was interrupted: %v", err)
	}
	if n := len(s.worker.view().serving.Spec.Listeners); n != 2 {
		t.Errorf("%d listeners are served, want 2", n)
	}
}

func TestGenerationIsUsedOnce(t *testing.T) {
	a := freeAddress(t)
	s := newPlainNode(t, proxyConfig(a))
	rewrite(t, s.o, "nonsense")
	if err := s.Reload(t.Context()); err == nil {
		t.Fatal("it was accepted")
	}
	rewrite(t, s.o, proxyConfig(a))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.current().generation; got != 3 {
		t.Errorf("the config after a refused one is generation %d, want 3", got)
	}
}

// TestWorkerThatDoesNotAnswerIsEnded: it might serve the new config, while this
// process believes in the old one.
func TestWorkerThatDoesNotAnswerIsEnded(t *testing.T) {
	t.Setenv(conduct, "mute later")
	w := newWorkerLink()
	background(t, w.run)
	eventually(t, "the worker serves", func() bool { return w.view().ready })
	before := w.view().pid
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.apply(ctx, serving{config: ipc.WorkerConfig{Generation: 2}}); err == nil {
		t.Fatal("it was applied")
	}
	eventually(t, "another worker serves the old config", func() bool {
		v := w.view()
		return v.ready && v.pid != before && v.ends.count == 1 && v.serving.Generation == 1
	})
}

// TestNewWorkerIsNotGivenAnOldConfig: a reload came between the start of a worker
// and its first config.
func TestNewWorkerIsNotGivenAnOldConfig(t *testing.T) {
	w := newWorkerLink()
	w.applying.Lock()
	background(t, w.run)
	eventually(t, "the worker runs", func() bool { return w.view().pid != 0 })
	err := w.give(t.Context(), serving{config: ipc.WorkerConfig{Generation: 2}})
	w.applying.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	var got []ipc.ListenerState
	eventually(t, "the worker has been given two configs", func() bool {
		if st := w.view().state; st != nil {
			got = st.Listeners
		}
		return len(got) == 2
	})
	if got[1].Accepted != 2 {
		t.Errorf("after a reload to generation 2 the worker was given generation %d", got[1].Accepted)
	}
}

func TestStoppingNodeListensNoMore(t *testing.T) {
	a, b := freeAddress(t), freeAddress(t)
	s := newPlainNode(t, proxyConfig(a))
	s.closeSockets()
	rewrite(t, s.o, proxyConfig(a, b))
	if err := s.Reload(t.Context()); err == nil || err.Error() != "the node is stopping" {
		t.Errorf("got %v", err)
	}
	for _, address := range []string{a, b} {
		if c, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			if err == nil {
				c.Close()
			}
			t.Errorf("%s: got %v, want a refusal", address, err)
		}
	}
}

func TestWorkerIsToldTheLogLevel(t *testing.T) {
	a := freeAddress(t)
	s := newPlainNode(t, proxyConfig(a)+"log: {level: warn}\n")
	if got := s.worker.view().serving.LogLevel; got != "warn" {
		t.Errorf("at the start it is %q", got)
	}
	rewrite(t, s.o, proxyConfig(a)+"log: {level: debug}\n")
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.worker.view().serving.LogLevel; got != "debug" {
		t.Errorf("after a reload it is %q", got)
	}
}

func TestOverlapWithTheRunningConfigIsNamed(t *testing.T) {
	a := freeAddress(t)
	s := newPlainNode(t, proxyConfig(a))
	_, port, _ := net.SplitHostPort(a)
	rewrite(t, s.o, proxyConfig(":"+port))
	err := s.Reload(t.Context())
	if want := "the running config listens on " + a; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// A server of files that does not answer: nothing interrupts who reads from it.
func TestAReloadDoesNotWaitForFilesForEver(t *testing.T) {
	s := newPlainNode(t, proxyConfig(freeAddress(t)))
	path := s.o.ConfigPath
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s.loader.within = 10 * time.Millisecond
	for _, want := range []string{"not read within 10ms", "an earlier reload has not read"} {
		if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Reload = %v, want %q", err, want)
		}
	}
	release := func() {
		w, err := os.OpenFile(path, os.O_WRONLY, 0) // when it is being read
		if err != nil {
			t.Fatal(err)
		}
		w.WriteString("nothing")
		w.Close()
		<-s.loader.busy
	}
	release()

	stopC := make(chan struct{})
	close(stopC)
	s.loader.within, s.loader.stopC = time.Hour, stopC
	if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("Reload of a node that stops = %v", err)
	}
	release()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.loader.stopC = nil
	rewrite(t, s.o, proxyConfig(freeAddress(t)))
	if err := s.Reload(t.Context()); err != nil {
		t.Error(err)
	}
}
