package supervisor

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/child"
)

// serviceManager listens as the service manager does.
func serviceManager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return manager
}

// hear returns the next of what was sent, which is there at once; "" when there is none.
func hear(t *testing.T, manager *net.UnixConn) string {
	t.Helper()
	raw, err := manager.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	buf, n := make([]byte, 256), 0
	// A deadline, however long, may be over before it is looked whether something is there.
	if err := raw.Control(func(fd uintptr) { n, _, _ = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT) }); err != nil {
		t.Fatal(err)
	}
	n = max(n, 0)
	said, _, _ := strings.Cut(string(buf[:n]), "\n")
	return said
}

// A reload before the node serves does not end its start.
func TestReloadIsNoStart(t *testing.T) {
	a := freeAddress(t)
	s := newPlainNode(t, proxyConfig(a))
	manager := serviceManager(t)
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said := hear(t, manager); said != "" {
		t.Errorf("heard %q of a node that starts", said)
	}
	s.ready = true
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if began, ended := hear(t, manager), hear(t, manager); began != "RELOADING=1" || ended != "READY=1" {
		t.Errorf("heard %q, %q", began, ended)
	}
}

// The watchdog of the service manager is fed only while all processes run.
func TestLivesWithItsChildren(t *testing.T) {
	manager := serviceManager(t)
	running := &child.Process{PID: 1}
	for name, tc := range map[string]struct {
		worker *child.Process
		agent  *agentLink
		want   bool
	}{
		"both run":         {running, &agentLink{proc: running}, true},
		"without an agent": {running, nil, true},
		"no worker runs":   {nil, &agentLink{proc: running}, false},
		"no agent runs":    {running, &agentLink{}, false},
	} {
		c := &coordinator{Supervisor: &Supervisor{worker: &workerLink{proc: tc.worker}, agent: tc.agent}}
		c.live()
		if said := hear(t, manager); (said == "WATCHDOG=1") != tc.want {
			t.Errorf("%s: heard %q", name, said)
		}
	}
}
