package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
)

// stopWithin is how long a process may take to end when asked to, before it is
// killed.
const stopWithin = 5 * time.Second

// A process is a command that this program started, and ends.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// launch starts cmd with its output in the file log. It is in a process group of
// its own, out of reach of the terminal's Ctrl-C, so that it is ended in good order,
// and is killed when this process dies.
func launch(cmd *exec.Cmd, log string) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", cmd.Path, err)
	}
	defer f.Close() // the process has its own descriptor
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended says nothing: it is ended from here
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and its descendants: it asks the process to, and kills what
// is left in the end.
func (p *process) stop() error {
	tree, err := family(p.pid())
	if err != nil {
		return errors.Join(err, p.cmd.Process.Kill())
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end process %d: %w", p.pid(), err)
	}
	patience := time.NewTimer(stopWithin)
	defer patience.Stop()
	select {
	case <-p.done:
	case <-patience.C:
	}
	// Whoever outlived its parent, or never listened.
	for _, m := range tree {
		for deadline := time.Now().Add(time.Second); m.lives() && m.pid != p.pid() && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		if m.lives() {
			if err := syscall.Kill(m.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill process %d: %w", m.pid, err)
			}
		}
	}
	<-p.done
	return nil
}

// A member of a family is a process that is told apart from a later one with the
// same id.
type member struct {
	pid   int
	began uint64
}

func (m member) lives() bool {
	s, err := readStat(m.pid)
	return err == nil && s.began == m.began && s.state != 'Z'
}

// family returns the process and its descendants, parents before children.
func family(pid int) ([]member, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := make(map[int][]member)
	var tree []member
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // not a process
		}
		s, err := readStat(id)
		if err != nil {
			continue // it has ended since
		}
		children[s.parent] = append(children[s.parent], member{id, s.began})
		if id == pid {
			tree = append(tree, member{id, s.began})
		}
	}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i].pid]...)
	}
	return tree, nil
}

// stat is what /proc/PID/stat says of a process, over all its threads.
type stat struct {
	state        byte
	parent       int
	user, system time.Duration
	began        uint64 // in ticks since the machine started
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fmt.Errorf("read the state of process %d: %w", pid, err)
	}
	return parseStat(text)
}

// tick is the unit of time in /proc/PID/stat: 1/USER_HZ, which is the same on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// parseStat parses the text of /proc/PID/stat, proc_pid_stat(5). The command name
// may itself hold spaces and parentheses.
func parseStat(text []byte) (stat, error) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("parse stat %q: want 22 fields or more", text)
	}
	var numbers [4]uint64
	for i, at := range [...]int{1, 11, 12, 19} { // ppid, utime, stime, starttime
		n, err := strconv.ParseUint(string(fields[at]), 10, 63)
		if err != nil {
			return stat{}, fmt.Errorf("parse stat %q: %w", text, err)
		}
		numbers[i] = n
	}
	return stat{
		state:  fields[0][0],
		parent: int(numbers[0]),
		user:   time.Duration(numbers[1]) * tick,
		system: time.Duration(numbers[2]) * tick,
		began:  numbers[3],
	}, nil
}

// usage is CPU time that processes have used so far.
type usage struct {
	total time.Duration // to the nanosecond
	user  time.Duration // the part of it outside the kernel, in ticks
}

// used sums up the CPU time of processes.
func used(pids []int) (usage, error) {
	var sum usage
	for _, pid := range pids {
		total, err := lab.CPUTime(pid)
		if err != nil {
			return usage{}, err
		}
		s, err := readStat(pid)
		if err != nil {
			return usage{}, err
		}
		sum.total += total
		sum.user += s.user
	}
	return sum, nil
}
