package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// A Process is a command that runs inside a host.
type Process struct {
	host *Host
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; set before done is closed
}

// Start starts cmd inside the host, and waits for it in the background: the
// caller must not. Unless cmd says otherwise, it is killed when this process
// dies; Lab.Close kills it in any case.
func (h *Host) Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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

// Kill ends the process and its descendants as a power cut would: all are
// stopped before the first of them dies, so that none can act on the death of
// another. It does not wait; see Done.
func (p *Process) Kill() error {
	tree, err := p.Stop()
	for _, pid := range slices.Backward(tree) {
		err = errors.Join(err, signalPID(pid, syscall.SIGKILL))
	}
	return err
}

// Stop freezes the process and its descendants with SIGSTOP and returns their
// ids, parents before children.
func (p *Process) Stop() ([]int, error) {
	select {
	case <-p.done:
		return nil, nil
	default:
	}
	// A stopped process forks no more: the children found then are all.
	return descend(p.PID(), func(pid int) error { return signalPID(pid, syscall.SIGSTOP) })
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
	tree, err := descend(p.PID(), func(int) error { return nil })
	return tree[1:], err
}

// descend calls visit for pid and each of its descendants, parents before
// children, and returns the ids it has come to.
func descend(pid int, visit func(pid int) error) ([]int, error) {
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		if err := visit(tree[i]); err != nil {
			return tree, err
		}
		children, err := childrenOf(tree[i])
		if err != nil {
			return tree, err
		}
		tree = append(tree, children...)
	}
	return tree, nil
}

// childrenOf returns the ids of the processes whose parent is pid.
func childrenOf(pid int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var children []int
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended since
		}
		if parent, ok := parentIn(stat); ok && parent == pid {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return nil, fmt.Errorf("list processes: %w", err)
			}
			children = append(children, child)
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
