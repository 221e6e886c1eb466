package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/admin"
)

// processStatus is what the kernel says of a process.
func processStatus(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		fields[key] = strings.TrimSpace(value)
	}
	return fields
}

// A node of root has children with as little as they need: the worker nothing at all,
// the agent NET_ADMIN, NET_RAW, IPC_LOCK and SYS_NICE, which still own the address.
func TestChildrenAreConfined(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	s := p.lb1.waitStatus("says what confines the worker", func(s *admin.Status) bool { return s.Sandbox != nil })
	const none, agents = "0000000000000000", "0000000000807000"
	worker, agent := processStatus(t, s.Worker.PID), processStatus(t, s.Agent.PID)
	if effective(t, os.Getpid())&^0x807000 == 0 {
		t.Skip("these tests have no more capabilities than an agent")
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		if worker[set] != none {
			t.Errorf("the worker has %s %s", set, worker[set])
		}
	}
	for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
		if agent[set] != agents {
			t.Errorf("the agent has %s %s", set, agent[set])
		}
	}
	if worker["NoNewPrivs"] != "1" || agent["NoNewPrivs"] != "1" || worker["Seccomp"] != "2" {
		t.Errorf("no_new_privs %s and %s, seccomp %s", worker["NoNewPrivs"], agent["NoNewPrivs"], worker["Seccomp"])
	}
	if uid := strings.Fields(worker["Uid"])[0]; uid == "0" || uid != strconv.Itoa(s.Sandbox.UID) {
		t.Errorf("the worker is user %s, and says %d", uid, s.Sandbox.UID)
	}
	if s.Sandbox.Capabilities != "" || s.Sandbox.Bounding != "" || !s.Sandbox.NoNewPrivs || !s.Sandbox.Seccomp {
		t.Errorf("the status says %+v", s.Sandbox)
	}
	if s.Sandbox.Landlock == 0 || len(s.Sandbox.Missing) > 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("without %v", s.Sandbox.Missing)
		}
		t.Skipf("without %v", s.Sandbox.Missing)
	}
	for _, command := range []string{"status", "explain"} {
		out, err := p.lb1.ask(command)
		if want := fmt.Sprintf("no capabilities, landlock ABI %d, seccomp", s.Sandbox.Landlock); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s does not say %q: %v\n%s", command, want, err, out)
		}
	}
}

// effective returns the effective capabilities of a process.
func effective(t *testing.T, pid int) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(processStatus(t, pid)["CapEff"], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What comes later than the sandbox still comes: a new port that a reload opens, and
// traces to a receiver that has a name.
func TestConfinedWorkerTakesWhatComesLater(t *testing.T) {
	t.Parallel()
	sentC := make(chan struct{}, 64)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case sentC <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(receiver.Close)
	_, port, _ := strings.Cut(receiver.Listener.Addr().String(), ":")
	s := startSingle(t, func(http.ResponseWriter, *http.Request) {}, fmt.Sprintf("tracing: {otlp: %q, sample: 100%%}\n", "http://localhost:"+port))
	second := reservePort(t)
	s.reload(func(text string) string {
		return strings.Replace(text, "listeners: {", fmt.Sprintf("listeners: {second: {bind: %q, routes: [{respond: {status: 200, body: later}}]}, ", second), 1)
	})
	res, err := http.Get("http://" + second)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	s.eventually("the receiver has traces", func() bool {
		select {
		case <-sentC:
			return true
		default:
			return false
		}
	})
}
