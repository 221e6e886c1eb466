package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

// actor is an admin socket that answers what it is told to.
type actor struct {
	socket string
	http   *http.Server

	mu   sync.Mutex
	says admin.Explanation
}

func startActor(t *testing.T, socket string) *actor {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	a := &actor{socket: socket}
	a.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.says.At = time.Now()
		_ = json.NewEncoder(w).Encode(a.says)
	})}
	a.says.Status = admin.Status{Node: "lb1", Fit: true, Worker: admin.Process{PID: 1}, VIPs: []admin.VIP{{Name: "main", Role: vrrp.Backup}}}
	go a.http.Serve(l)
	t.Cleanup(func() { a.http.Close() })
	return a
}

// terminal is a pseudo terminal with somebody who looks at it.
type terminal struct {
	t     *testing.T
	ptmx  *os.File
	tty   *os.File
	stop  chan struct{}
	mu    sync.Mutex
	seen  bytes.Buffer
	begun unix.Termios
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, ptmx: ptmx, tty: tty, stop: make(chan struct{}), begun: modes(t, tty)}
	p.resize(80, 24)
	go func() {
		defer close(p.stop)
		buf := make([]byte, 4096)
		for {
			n, err := ptmx.Read(buf)
			p.mu.Lock()
			p.seen.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		tty.Close()
		<-p.stop // the other end is closed
		ptmx.Close()
	})
	return p
}

func modes(t *testing.T, tty *os.File) unix.Termios {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *m
}

func (p *terminal) resize(width, height uint16) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.ptmx.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}); err != nil {
		p.t.Fatal(err)
	}
}

// run runs this program on the terminal.
func (p *terminal) run(args ...string) *exec.Cmd {
	p.t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "TERM=xterm", "NO_COLOR=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.tty, p.tty, p.tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	return cmd
}

// wait waits until text is shown after the last call.
func (p *terminal) wait(text string) {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		_, rest, found := bytes.Cut(p.seen.Bytes(), []byte(text))
		if found {
			p.seen = *bytes.NewBuffer(bytes.Clone(rest))
		}
		all := p.seen.String()
		p.mu.Unlock()
		if found {
			return
		}
		select {
		case <-deadline:
			p.t.Fatalf("%q is not shown, but %q", text, all)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestStatusIsWatchedOnATerminal(t *testing.T) {
	for name, quit := range map[string]string{"q": "q", "Ctrl-C": "\x03"} {
		t.Run(name, func(t *testing.T) {
			p := openTerminal(t)
			socket := filepath.Join(t.TempDir(), "s")
			cmd := p.run("status", "--watch", "--interval", "100ms", "--socket", socket)
			p.wait(enterScreen)
			p.wait("NO ANSWER")
			a := startActor(t, socket)
			p.wait("BACKUP")
			a.mu.Lock()
			a.says.Status.VIPs[0].Role = vrrp.Active
			a.mu.Unlock()
			p.wait("ACTIVE")
			p.resize(20, 5)
			p.wait("…" + eraseRest)
			p.resize(100, 30)
			a.http.Close()
			p.wait("this is what it said last")
			p.ptmx.WriteString(quit)
			p.wait(leaveScreen)
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(p.begun, modes(t, p.tty)); diff != "" {
				t.Errorf("the terminal is not as it was (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWatchEndsWithASignal(t *testing.T) {
	p := openTerminal(t)
	cmd := p.run("status", "--watch", "--socket", filepath.Join(t.TempDir(), "s"))
	p.wait("NO ANSWER")
	cmd.Process.Signal(syscall.SIGTERM)
	p.wait(leaveScreen)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(p.begun, modes(t, p.tty)); diff != "" {
		t.Errorf("the terminal is not as it was (-want +got):\n%s", diff)
	}
}

// Where nobody looks, one state follows another, without control sequences.
func TestStatusIsWatchedInAPipe(t *testing.T) {
	a := startActor(t, filepath.Join(t.TempDir(), "s"))
	for name, tc := range map[string]struct {
		json bool
		want string
	}{"text": {false, "vip main"}, "JSON": {true, `"node":"lb1"`}} {
		t.Run(name, func(t *testing.T) {
			r, w := io.Pipe()
			done := make(chan error, 1)
			go func() {
				c := &statusCmd{target: target{Socket: a.socket}, JSON: tc.json, Watch: true, Interval: 100 * time.Millisecond}
				done <- c.Run(t.Context(), output{out: w})
			}()
			var got bytes.Buffer
			buf := make([]byte, 1<<16)
			for strings.Count(got.String(), tc.want) < 3 {
				n, err := r.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				got.Write(buf[:n])
			}
			r.Close() // whoever reads has seen enough
			if err := <-done; err == nil {
				t.Error("it goes on without a reader")
			}
			if strings.Contains(got.String(), "\x1b") {
				t.Errorf("a control sequence in %q", got.String())
			}
		})
	}
}

func TestWatchDoesNotHammer(t *testing.T) {
	err := (&statusCmd{Watch: true, Interval: time.Millisecond}).Run(t.Context(), output{})
	if err == nil || !strings.Contains(err.Error(), "--interval 1ms: want 100ms or more") {
		t.Errorf("error %v, want a refusal", err)
	}
}
