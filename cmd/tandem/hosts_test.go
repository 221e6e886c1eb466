package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

// proxyConfig is a node without VIPs.
const proxyConfig = `listeners: {web: {bind: "10.77.0.1:8080", servers: ["10.77.0.11:80"]}}
`

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func TestHangupDuringAStopIsIgnored(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer signal.Reset(syscall.SIGHUP)
	hangups(ctx)
	if signal.Ignored(syscall.SIGHUP) {
		t.Fatal("SIGHUP is ignored while the node runs")
	}
	cancel()
	eventually(t, "SIGHUP is ignored", func() bool { return signal.Ignored(syscall.SIGHUP) })
}

func TestDeathOfTheLogReaderIsSurvived(t *testing.T) {
	n := newNode(t, scene(t), lb1, proxyConfig)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd := n.command("run", "-c", n.config, "--socket", n.socket)
	cmd.Stderr = writer
	n.proc, err = n.host.Start(cmd)
	writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	n.waitStatus("serves", func(s *admin.Status) bool { return s.Fit })

	reader.Close()
	// The supervisor has something to say of this.
	n.signal("worker", syscall.SIGKILL)
	n.waitStatus("serves again", func(s *admin.Status) bool { return s.Fit && s.Worker.Restarts == 1 })
}

func TestWorkerOfAServiceUserHasNoCapability(t *testing.T) {
	n := newNode(t, scene(t), lb1, quickConfig())
	openPath(t, n.dir)
	cmd := n.command("run", "-c", n.config, "--node", n.name, "--socket", n.socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_NET_BIND_SERVICE},
	}
	var err error
	if n.proc, err = n.host.Start(cmd); err != nil {
		t.Fatal(err)
	}
	n.waitStatus("is active", func(s *admin.Status) bool { return s.Fit && s.VIPs[0].Role == vrrp.Active && s.VIPs[0].Holds })
	for child, none := range map[string]bool{"worker": true, "agent": false} {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.children()[child]))
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range []string{"CapPrm", "CapEff", "CapAmb"} {
			if strings.Contains(string(status), set+":\t0000000000000000\n") != none {
				t.Errorf("%s: no capability in %s: want %t\n%s", child, set, none, status)
			}
		}
	}
}

func TestSocketOfAServiceUser(t *testing.T) {
	n := newNode(t, scene(t), lb1, proxyConfig)
	openPath(t, n.dir)
	n.socket = filepath.Join(n.dir, "admin.sock")
	cmd := n.command("run", "-c", n.config)
	cmd.Env = append(cmd.Env, "RUNTIME_DIRECTORY="+n.dir+":/nowhere", "XDG_RUNTIME_DIR=/nowhere")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var err error
	if n.proc, err = n.host.Start(cmd); err != nil {
		t.Fatal(err)
	}
	n.waitStatus("serves", func(s *admin.Status) bool { return s.Fit })
}

func TestSocketIsFound(t *testing.T) {
	for name, tc := range map[string]struct{ root, system, user, users bool }{
		"the user's node":   {false, false, true, true},
		"the system's node": {false, true, false, false},
		"both":              {false, true, true, true},
		"none":              {false, false, false, true},
		"root":              {true, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			system, user := filepath.Join(dir, "system"), filepath.Join(dir, "user")
			for path, exists := range map[string]bool{system: tc.system, user: tc.user} {
				if !exists {
					continue
				}
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want := system
			if tc.users {
				want = user
			}
			if got := findSocket(tc.root, system, user); got != want {
				t.Errorf("asks %q, want %q", got, want)
			}
		})
	}
}

func TestProgramForRootAloneIsNamed(t *testing.T) {
	n := newNode(t, scene(t), lb1, proxyConfig)
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(n.dir, "program")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := n.command("run", "-c", n.config, "--socket", n.socket)
	cmd.Path = path
	if n.proc, err = n.host.Start(cmd); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log says what to do", func() bool {
		text, err := os.ReadFile(n.log)
		return err == nil && strings.Contains(string(text), "must be able to execute it")
	})
}
