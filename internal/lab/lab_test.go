package lab_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/labtest"
)

// eventually polls until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	labtest.Eventually(t, 20*time.Second, what, func() (bool, string) { return f(), "it is not so" })
}

// reach connects from one host to another and reports whether it was answered.
func reach(from *lab.Host, address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func pair(t *testing.T) (l *lab.Lab, a, b *lab.Host) {
	t.Helper()
	l = labtest.New(t, labtest.Host("a", "10.9.0.1/24"), labtest.Host("b", "10.9.0.2/24"))
	return l, l.Host("a"), l.Host("b")
}

func TestHostsReachEachOther(t *testing.T) {
	_, a, b := pair(t)
	ln, err := b.Listen("tcp", "10.9.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return // the dial below fails and says more
		}
		io.WriteString(conn, "b")
		conn.Close()
	}()
	conn, err := a.DialContext(t.Context(), "tcp", "10.9.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "b" {
		t.Fatalf("read %q, %v; want %q", got, err, "b")
	}

	mac, err := b.MAC()
	if err != nil {
		t.Fatal(err)
	}
	neighbour, err := a.Neighbor(netip.MustParseAddr("10.9.0.2"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mac, neighbour); diff != "" {
		t.Errorf("neighbour entry (-want +got):\n%s", diff)
	}
}

func TestCuts(t *testing.T) {
	for _, test := range []struct {
		name    string
		cut     func(*lab.Host) error
		carrier bool
	}{
		{"cut", (*lab.Host).Cut, false},
		{"silent cut", (*lab.Host).CutSilently, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, a, b := pair(t)
			if _, err := b.Listen("tcp", "10.9.0.2:80"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "b is within reach before the cut", func() bool { return reach(a, "10.9.0.2:80") })
			if err := test.cut(b); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the carrier is as the cut leaves it", func() bool {
				got, err := b.Carrier()
				return err == nil && got == test.carrier
			})
			if reach(a, "10.9.0.2:80") {
				t.Error("b is within reach after the cut")
			}
			if got, err := a.Carrier(); err != nil || !got {
				t.Errorf("the other host's carrier: %v, %v; want true", got, err)
			}
			if err := b.Heal(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "b is within reach again", func() bool { return reach(a, "10.9.0.2:80") })
		})
	}
}

func TestAddresses(t *testing.T) {
	_, a, _ := pair(t)
	vip := netip.MustParsePrefix("10.9.0.100/24")
	if err := a.AddAddress(vip); err != nil {
		t.Fatal(err)
	}
	got, err := a.Addresses()
	if err != nil {
		t.Fatal(err)
	}
	got = slices.DeleteFunc(got, func(p netip.Prefix) bool { return p.Addr().Is6() }) // link-local
	want := []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24"), vip}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if err := a.DelAddress(vip); err != nil {
		t.Fatal(err)
	}
	if has, err := a.Has(vip.Addr()); has || err != nil {
		t.Errorf("has the deleted address: %v, %v; want false", has, err)
	}
	if err := a.DelAddress(vip); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("delete a missing address: %v, want %v", err, unix.EADDRNOTAVAIL)
	}
}

// network identifies the network namespace of the calling thread.
func network(t *testing.T) string {
	t.Helper()
	id, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestDoIsolates(t *testing.T) {
	runtime.LockOSThread() // so that home is this thread's network throughout
	defer runtime.UnlockOSThread()
	_, a, b := pair(t)
	home := network(t)
	var inA, inB, nested, back string
	boom := errors.New("boom")
	err := a.Do(func() error {
		inA = network(t)
		return errors.Join(b.Do(func() error {
			inB = network(t)
			return a.Do(func() error { nested = network(t); return nil })
		}), func() error { back = network(t); return boom }())
	})
	if !errors.Is(err, boom) {
		t.Errorf("error %v, want that of the function", err)
	}
	if inA == home || inB == home || inA == inB {
		t.Errorf("networks are not distinct: home %s, a %s, b %s", home, inA, inB)
	}
	if nested != inA || back != inA {
		t.Errorf("network %s when nested and %s afterwards, want %s", nested, back, inA)
	}
	if got := network(t); got != home {
		t.Errorf("network %s after Do, want %s", got, home)
	}
}

func TestDoReturnsHomeFromPanic(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, a, _ := pair(t)
	home := network(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = a.Do(func() error { panic("boom") })
	}()
	if got := network(t); got != home {
		t.Errorf("network %s after a panic, want %s", got, home)
	}
}

func TestProcessIsBornInHost(t *testing.T) {
	_, a, _ := pair(t)
	var out strings.Builder
	cmd := exec.Command("cat", "/proc/net/fib_trie")
	cmd.Stdout = &out
	p, err := a.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "10.9.0.1") {
		t.Errorf("the process does not see the address of its host:\n%s", out.String())
	}
}

// family starts a shell with a child in the host.
func family(t *testing.T, h *lab.Host) (*lab.Process, int) {
	t.Helper()
	// It must not end by itself when its child is killed first.
	cmd := exec.Command("sh", "-c", "sleep 60 & wait; kill -STOP $$")
	p, err := h.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	var children []int
	eventually(t, "the process has a child", func() bool {
		children, err = p.Descendants()
		return err == nil && len(children) == 1
	})
	return p, children[0]
}

func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	// A zombie is dead; whether its new parent reaps it is not our concern.
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestKillTakesDescendants(t *testing.T) {
	_, a, _ := pair(t)
	p, child := family(t, a)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := p.Err(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("ended with %v, want SIGKILL", err)
	}
	eventually(t, "the child is dead", func() bool { return !alive(child) })
	if err := p.Kill(); err != nil {
		t.Errorf("second kill: %v", err)
	}
	if err := p.Signal(unix.SIGTERM); err != nil {
		t.Errorf("signal after the end: %v", err)
	}
}

func TestStopAndContinue(t *testing.T) {
	_, a, _ := pair(t)
	p, child := family(t, a)
	tree, err := p.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{p.PID(), child}, tree); diff != "" {
		t.Errorf("stopped processes (-want +got):\n%s", diff)
	}
	state := func(pid int) string {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		return rest[:1]
	}
	eventually(t, "the tree is stopped", func() bool { return state(p.PID()) == "T" && state(child) == "T" })
	if err := p.Continue(tree); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the tree runs", func() bool { return state(p.PID()) != "T" && state(child) != "T" })
}

func TestCloseCleansUp(t *testing.T) {
	_, warm, _ := pair(t) // opens what the Go runtime keeps for its poller
	if _, err := warm.Listen("tcp", "10.9.0.1:80"); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	l, a, b := pair(t)
	p, child := family(t, a)
	ln, err := b.Listen("tcp", "10.9.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second is idle
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-p.Done():
	default:
		t.Error("the process is alive")
	}
	eventually(t, "the child is dead", func() bool { return !alive(child) })
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v, want %v", err, net.ErrClosed)
	}
	if _, err := a.Start(exec.Command("true")); err == nil {
		t.Error("a process was started in a closed lab")
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, want %d", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func TestBadSpecs(t *testing.T) {
	labtest.New(t) // skips where labs are not permitted
	for _, test := range []struct {
		name  string
		hosts []lab.HostSpec
		want  string
	}{
		{"twice the same name", []lab.HostSpec{{Name: "a"}, {Name: "a"}}, `host name "a" is empty, reserved or not unique`},
		{"no name", []lab.HostSpec{{}}, `host name "" is empty, reserved or not unique`},
		{"the bridge's name", []lab.HostSpec{{Name: "br0"}}, `host name "br0" is empty, reserved or not unique`},
		{"too long", []lab.HostSpec{{Name: "a-name-of-16-byte"}}, `host "a-name-of-16-byte": join the bridge: numerical result out of range`},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := lab.New(lab.Spec{Hosts: test.hosts})
			if err == nil {
				l.Close()
				t.Fatal("accepted")
			}
			if got := strings.TrimPrefix(err.Error(), "build lab: "); got != test.want {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}

func TestDialWantsAnAddress(t *testing.T) {
	_, a, _ := pair(t)
	_, err := a.DialContext(t.Context(), "tcp", "localhost:80")
	if err == nil || !strings.Contains(err.Error(), "must be an IP and a port") {
		t.Errorf("dial a name: %v, want a refusal", err)
	}
}

// A test binary that runs itself without privilege sees the hint.
func TestNotPermitted(t *testing.T) {
	if os.Getenv("LAB_UNPRIVILEGED") != "" {
		_, err := lab.New(lab.Spec{})
		if !errors.Is(err, lab.ErrNotPermitted) || !strings.Contains(err.Error(), "hint: this needs CAP_SYS_ADMIN") {
			t.Errorf("error %v, want %v", err, lab.ErrNotPermitted)
		}
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root to drop it")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestNotPermitted$", "-test.v")
	cmd.Env = append(os.Environ(), "LAB_UNPRIVILEGED=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}
