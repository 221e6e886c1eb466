package child

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// set returns a set of capabilities out of a file /proc/PID/status.
func set(t *testing.T, status, name string) uint64 {
	t.Helper()
	for line := range strings.Lines(status) {
		if value, is := strings.CutPrefix(line, name+":"); is {
			n, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s is not in %q", name, status)
	return 0
}

// statusOf returns what the kernel says of cat, started with no more than most.
func statusOf(t *testing.T, program string, cred *syscall.Credential, most uint64) string {
	t.Helper()
	cmd := exec.Command(program, "/proc/self/status")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := start(cmd, most); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A child has what it may have, and not what its parent has besides: also when its user
// is root, to whom programs give everything, and when its file has capabilities. This
// process keeps its own.
func TestChildHasNoMore(t *testing.T) {
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]string{"plain": cat}
	if setcap, err := exec.LookPath("setcap"); err == nil && os.Geteuid() == 0 {
		text, err := os.ReadFile(cat)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		granted := filepath.Join(dir, "cat")
		if err := os.WriteFile(granted, text, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(setcap, "cap_net_admin,cap_net_bind_service+ep", granted).CombinedOutput(); err != nil {
			t.Logf("without a program that has capabilities: %s", out)
		} else {
			programs["with capabilities"] = granted
		}
	}
	creds := map[string]*syscall.Credential{"the same user": nil}
	if os.Geteuid() == 0 {
		creds["another user"] = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	for user, cred := range creds {
		for kind, program := range programs {
			for name, most := range map[string]uint64{"agent": privileges("agent"), "worker": privileges("worker")} {
				status := statusOf(t, program, cred, most)
				for _, s := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
					if more := set(t, status, s) &^ most; more != 0 {
						t.Errorf("%s, %s, %s: %s has %x", name, user, kind, s, more)
					}
				}
				if cred == nil && os.Geteuid() == 0 && kind == "plain" && set(t, status, "CapEff") != most&set(t, string(own), "CapEff") {
					t.Errorf("%s, %s: it lacks what it may have: %s", name, user, status)
				}
				if !strings.Contains(status, "NoNewPrivs:\t1") {
					t.Errorf("%s, %s: no_new_privs is not set", name, user)
				}
			}
		}
	}
	after, err := os.ReadFile("/proc/self/status")
	if err != nil || set(t, string(after), "CapEff") != set(t, string(own), "CapEff") || strings.Contains(string(after), "NoNewPrivs:\t1") {
		t.Errorf("this process has lost something, too: %v", err)
	}
}
