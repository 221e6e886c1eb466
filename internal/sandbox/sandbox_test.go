package sandbox

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside is the environment variable that makes the test binary a process that enters
// the sandbox, and tries what its value names: a folder that it may write to, and an
// address where somebody listens.
const inside = "TANDEM_TEST_SANDBOX"

func TestMain(m *testing.M) {
	if given := os.Getenv(inside); given != "" {
		probe(given)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// attempts are what the process in the sandbox has tried: the error of each, or "".
type attempts struct {
	State State
	Tried map[string]string
	Usage int // descriptors that it sees of itself
}

func probe(given string) {
	dir, server, _ := strings.Cut(given, " ")
	var threads sync.WaitGroup // which are there already
	begin, entered := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	a := attempts{Tried: map[string]string{}}
	note := func(what string, err error) {
		mu.Lock()
		defer mu.Unlock()
		a.Tried[what] = ""
		if err != nil {
			a.Tried[what] = err.Error()
		}
	}
	for i := range 4 {
		threads.Go(func() {
			begin <- struct{}{}
			<-entered
			_, err := os.ReadFile("/etc/passwd")
			note("read a file in thread "+strconv.Itoa(i), err)
		})
		<-begin
	}
	a.State = Enter()
	close(entered)
	threads.Wait()

	_, err := os.ReadFile("/etc/shadow")
	note("read /etc/shadow", err)
	_, err = os.ReadFile(filepath.Join(dir, "secret"))
	note("read a file", err)
	_, err = os.ReadDir("/")
	note("read a folder", err)
	note("write a file", os.WriteFile(filepath.Join(dir, "new"), nil, 0o600))
	note("append to a file", func() error {
		f, err := os.OpenFile(filepath.Join(dir, "secret"), os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			f.Close()
		}
		return err
	}())
	note("remove a file", os.Remove(filepath.Join(dir, "secret")))
	_, err = syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
	note("start a program", err)
	note("replace the program", syscall.Exec("/bin/true", []string{"true"}, nil))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		l.Close()
	}
	note("bind a port of TCP", err)
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err == nil {
		p.Close()
	}
	note("bind a port of UDP", err)
	_, err = net.Dial("unix", filepath.Join(dir, "socket"))
	note("connect to a unix socket", err)
	note("signal another process", unix.Kill(os.Getppid(), 0))
	note("trace another process", unix.PtraceAttach(os.Getppid()))
	note("make a user namespace", unix.Unshare(unix.CLONE_NEWUSER))
	note("mount", unix.Mount("none", dir, "tmpfs", 0, ""))
	_, err = os.ReadFile("/proc/" + strconv.Itoa(os.Getppid()) + "/environ")
	note("read of another process", err)

	c, err := net.Dial("tcp", server)
	if err == nil {
		c.Close()
	}
	note("OK connect to a server", err)
	u, err := net.Dial("udp", server)
	if err == nil {
		_, err = u.Write([]byte("x"))
		u.Close()
	}
	note("OK send a datagram", err)
	_, err = net.Interfaces()
	note("OK names of interfaces", err)
	_, err = os.ReadFile("/proc/self/statm")
	note("OK read its own statm", err)
	_, err = os.ReadFile("/proc/self/cgroup")
	note("OK read its own cgroup", err)
	d, err := os.ReadDir("/proc/self/fd")
	a.Usage = len(d)
	note("OK list its own descriptors", err)
	f, err := os.Open(os.DevNull)
	if err == nil {
		f.Close()
	}
	note("OK open /dev/null", err)
	_, err = x509.SystemCertPool()
	note("OK read the CAs of the system", err)
	for _, folder := range []string{"one", "two"} {
		_, err = os.ReadDir(filepath.Join(dir, "authorities", folder))
		note("OK read folder "+folder+" of SSL_CERT_DIR", err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(a)
}

func TestSandbox(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	// As whoever runs the tests, root mostly: what root cannot do in there nobody can.
	cmd := exec.Command("/proc/self/exe")
	authorities := []string{filepath.Join(dir, "authorities", "one"), filepath.Join(dir, "authorities", "two")}
	for _, folder := range authorities {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Env = append(os.Environ(), inside+"="+dir+" "+server.Addr().String(), "SSL_CERT_DIR="+strings.Join(authorities, ":"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	var a attempts
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("in force: %+v", a.State)
	if a.State.Landlock == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no landlock: %v", a.State.Missing)
		}
		t.Skipf("no landlock: %v", a.State.Missing)
	}
	if !a.State.NoNewPrivs || !a.State.Seccomp || len(a.State.Missing) > 0 {
		t.Errorf("in force: %+v", a.State)
	}
	if a.Usage < 4 {
		t.Errorf("it sees %d descriptors", a.Usage)
	}
	for what, failed := range a.Tried {
		may := strings.HasPrefix(what, "OK ")
		if what == "signal another process" && a.State.Landlock < 6 {
			continue // such a kernel does not keep it from that
		}
		if may != (failed == "") {
			t.Errorf("%s: %q", what, failed)
		}
		t.Logf("%s: %s", what, failed)
	}
	if len(a.Tried) != 30 {
		t.Errorf("%d attempts", len(a.Tried))
	}
	if _, err := os.Stat(filepath.Join(dir, "secret")); err != nil {
		t.Error(err)
	}
}

// Keys in the memory of the process are in no core dump, and of no use to a tracer of
// the same user.
func TestMemoryIsItsOwn(t *testing.T) {
	if given := os.Getenv("TANDEM_TEST_DUMPABLE"); given == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestMemoryIsItsOwn$")
		cmd.Env = append(slices.Clone(os.Environ()), "TANDEM_TEST_DUMPABLE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := noCore(); err != nil {
		t.Fatal(err)
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	var core unix.Rlimit
	if limitErr := unix.Getrlimit(unix.RLIMIT_CORE, &core); errors.Join(err, limitErr) != nil || dumpable != 0 || core.Cur != 0 || core.Max != 0 {
		t.Errorf("dumpable %d, core %+v, %v, %v", dumpable, core, err, limitErr)
	}
}
