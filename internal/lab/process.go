package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is a command that runs inside a host.
type Process struct {
	host *Host
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; set before done is closed
}

// Start starts cmd inside the host, and waits for it in the background: the
// caller must not. Unless cmd has a SysProcAttr, it is in a process group of its
// own, out of reach of the terminal's Ctrl-C, and is killed when this process
// dies. Lab.Close kills it in any case.
func (h *Host) Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	}
	p := &Process{host: h, cmd: cmd, done: make(chan struct{})}
	if err := h.Do(cmd.Start); err != nil {
		return nil, fmt.Errorf("host %q: start %s: %w", h.name, cmd.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	if !h.lab.adopt(p, nil) {
		err := p.Kill()
		<-p.done
		return nil, errors.Join(fmt.Errorf("host %q: start %s: the lab is closed", h.name, cmd.Path), err)
	}
	return p, nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err waits for the process to end and says how: nil for exit code 0.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Signal sends a signal to the process alone. It is no error when the process
// has ended.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to process %d: %w", sig, p.PID(), err)
	}
	return nil
}

// Kill ends the process and its descendants; see the function Kill.
func (p *Process) Kill() error { return Kill(p) }

// Kill ends the processes and all their descendants as a power cut would: they are
// known before the first of them dies, and all are signalled within microseconds,
// descendants first, so that none can act on the death of another. They run until
// then: to freeze them while they are looked up would be an outage of its own. It
// does not wait; see Done.
func Kill(processes ...*Process) error {
	children, err := childrenByParent()
	if err != nil {
		return err
	}
	var doomed []int
	for _, p := range processes {
		if !p.ended() {
			doomed = append(doomed, descend(p.PID(), children)...)
		}
	}
	for _, pid := range slices.Backward(doomed) {
		err = errors.Join(err, signalPID(pid, syscall.SIGKILL))
	}
	return err
}

// Stop freezes the process and its descendants with SIGSTOP and returns their
// ids, parents before children.
func (p *Process) Stop() ([]int, error) { return freeze([]*Process{p}) }

// freeze stops the processes that live and their descendants, and returns their
// ids, parents before children.
func freeze(processes []*Process) ([]int, error) {
	var frozen []int
	for {
		children, err := childrenByParent()
		if err != nil {
			return frozen, err
		}
		before := len(frozen)
		for _, p := range processes {
			if p.ended() {
				continue
			}
			for _, pid := range descend(p.PID(), children) {
				if slices.Contains(frozen, pid) {
					continue
				}
				if err := signalPID(pid, syscall.SIGSTOP); err != nil {
					return frozen, err
				}
				frozen = append(frozen, pid)
			}
		}
		// Who is stopped forks no more: when a look around finds nobody new,
		// nobody was missed.
		if len(frozen) == before {
			return frozen, nil
		}
	}
}

func (p *Process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Continue resumes what Stop froze.
func (p *Process) Continue(tree []int) error {
	var errs []error
	for _, pid := range tree {
		errs = append(errs, signalPID(pid, syscall.SIGCONT))
	}
	return errors.Join(errs...)
}

func signalPID(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", sig, pid, err)
	}
	return nil
}

// Descendants returns the ids of the process's children, their children and so
// on, parents before children.
func (p *Process) Descendants() ([]int, error) {
	children, err := childrenByParent()
	if err != nil {
		return nil, err
	}
	return descend(p.PID(), children)[1:], nil
}

// Words returns the words of a process's command line.
func Words(pid int) ([]string, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, fmt.Errorf("read the command line of process %d: %w", pid, err)
	}
	return strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"), nil
}

// CPUTime returns for how long a process has run, over all its threads.
func CPUTime(pid int) (time.Duration, error) {
	var t unix.Timespec
	// clock_getcpuclockid(3): the complement of the id, and CPUCLOCK_SCHED.
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// descend returns pid and its descendants, parents before children.
func descend(pid int, children map[int][]int) []int {
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree
}

// childrenByParent looks at every process of the machine.
func childrenByParent() (map[int][]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := make(map[int][]int)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // not a process
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended since
		}
		if parent, ok := parentIn(stat); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	return children, nil
}

// parentIn reads the parent's id in the text of /proc/PID/stat. The command
// name comes before it, in parentheses, and may itself hold spaces and
// parentheses.
func parentIn(stat []byte) (int, bool) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return parent, err == nil
}
