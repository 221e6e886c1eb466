// Package child starts this program again as another process, one with fewer
// privileges where that is to be, and keeps it running.
package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/telemetry"
)

// A child that ends is started again after a pause that doubles while it keeps
// ending early.
const (
	minPause   = 50 * time.Millisecond
	maxPause   = 5 * time.Second
	longEnough = 10 * time.Second // of life, to begin with the shortest pause again
)

// Family is what the children of a node have in common.
type Family struct {
	Node string // name of the node, for the log; may be empty
	// Log is that of no process: a child speaks in it by its own name. It may be nil.
	Log *zap.Logger
}

// Process is a running child. Its control socket is descriptor 3; its standard error is
// read here, and put into the log. A worker has a log of its own: descriptor 4 is the
// standard error of this process, and goes on when this process has ended.
type Process struct {
	PID  int
	Done chan struct{} // closed when it has ended
	Log  *zap.Logger   // its voice
	cmd  *exec.Cmd
	err  error // how it ended; read after Done
	said *stderr
}

// Start starts this program again as the subcommand name, whose control socket
// it gives control, and closes that. A credential of nil keeps the user.
func (f Family) Start(name string, control *os.File, cred *syscall.Credential) (*Process, error) {
	defer control.Close()
	theirs, said, err := pipeStderr()
	if err != nil {
		return nil, fmt.Errorf("start the %s: %w", name, err)
	}
	defer theirs.Close()
	// Not os.Executable: a program that is replaced on disk must not end up with
	// children of another version.
	cmd := exec.Command("/proc/self/exe", name)
	if f.Node != "" {
		cmd.Args = append(cmd.Args, "--node", f.Node)
	}
	cmd.Args[0] = "tandem"
	cmd.Env = environment(os.Environ())
	cmd.Stderr = theirs
	cmd.ExtraFiles = []*os.File{control}
	// A group of its own: Ctrl-C is for the supervisor, which ends the children in
	// good order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: cred}
	if name == "worker" {
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.Stderr)
	}
	if err := start(cmd, privileges(name)); err != nil {
		said.r.Close()
		hint := ""
		switch {
		case cred != nil && errors.Is(err, syscall.EPERM):
			hint = " (needs CAP_SETUID and CAP_SETGID to give up root)"
		case cred != nil && errors.Is(err, syscall.EACCES):
			hint = fmt.Sprintf(" (hint: the worker's user, uid %d, must be able to execute it: chmod 0755)", cred.Uid)
		}
		return nil, fmt.Errorf("start the %s: %w%s", name, err, hint)
	}
	_ = neverWait(theirs) // now: to start a child is to make its files blocking
	log := f.Log
	if log == nil {
		log = zap.NewNop()
	}
	p := &Process{
		PID: cmd.Process.Pid, cmd: cmd, Done: make(chan struct{}), said: said,
		Log: telemetry.As(log, name, f.Node, cmd.Process.Pid),
	}
	go said.read(p.Log)
	go func() {
		p.err = cmd.Wait()
		close(p.Done)
	}()
	return p, nil
}

// environment is env without what belongs to the supervisor alone.
func environment(env []string) []string {
	var kept []string
	for _, e := range env {
		if name, _, _ := strings.Cut(e, "="); name != "NOTIFY_SOCKET" && !strings.HasPrefix(name, "WATCHDOG_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// Kill ends the process whatever it does, and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.Ending()
}

// Ending says how the process ended, when its last words are in the log.
func (p *Process) Ending() error {
	<-p.Done
	p.said.end()
	if p.err == nil {
		return errors.New("it exited by itself")
	}
	return p.err
}

// ErrLeft ends a child for good: it was told to leave.
var ErrLeft = errors.New("it was told to leave")

// Keep runs session, which starts a child and returns when that has ended, again
// and again until ctx is done or session returns ErrLeft.
func Keep(ctx context.Context, name string, log *zap.Logger, session func(context.Context) error) {
	pause := minPause
	for {
		began := time.Now()
		err := session(ctx)
		if ctx.Err() != nil || errors.Is(err, ErrLeft) {
			return
		}
		if time.Since(began) >= longEnough {
			pause = minPause
		}
		log.Error(name+" ended, starting it again", zap.Error(err), zap.Duration("in", pause), telemetry.Always())
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// Unprivileged returns the user that the worker runs as: "tandem" where that
// exists, else "nobody"; nil when this process has no privilege to give up.
func Unprivileged() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	_, cred := unprivileged()
	return &cred
}

// UnprivilegedName returns the name of the user that the worker of root runs as.
func UnprivilegedName() string {
	name, _ := unprivileged()
	return name
}

func unprivileged() (name string, cred syscall.Credential) {
	for _, name := range []string{"tandem", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return name, syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	const overflow = 65534 // nobody, where no file says so (an empty container)
	return "nobody", syscall.Credential{Uid: overflow, Gid: overflow}
}
