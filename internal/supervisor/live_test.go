package supervisor

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/child"
)

// The watchdog of the service manager is fed only while all processes run.
func TestLivesWithItsChildren(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
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
		// What was sent is there at once.
		if err := manager.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64)
		n, _ := manager.Read(buf)
		if got := string(buf[:n]) == "WATCHDOG=1"; got != tc.want {
			t.Errorf("%s: heard %q", name, buf[:n])
		}
	}
}
