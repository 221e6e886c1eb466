package stage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// Hog computes until it is killed, for ten minutes at most.
func Hog() {
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); {
		sum := 0
		for i := range 1 << 24 {
			sum ^= i * i
		}
	}
}

// command is a command that runs without the real-time priority of this program, which
// its children would have as well. It has a session of its own: the kernel shares the
// processor out among sessions first (sched_autogroup), and the hosts of a real pair do
// not share one.
func (s *Stage) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(s.Self, append([]string{"-ordinary", name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// BecomeOrdinary gives up real-time priority, and becomes the command.
func BecomeOrdinary(command []string) error {
	if len(command) == 0 {
		return errors.New("-ordinary: no command")
	}
	runtime.LockOSThread() // whose policy is that of the process after exec
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("give up real-time priority: %w", err)
	}
	// The name of a program is the last part of its path.
	argv := append([]string{filepath.Base(command[0])}, command[1:]...)
	return fmt.Errorf("run %s: %w", command[0], syscall.Exec(command[0], argv, os.Environ()))
}

// Limit sets how many descriptors a process may open; -1 is as many as it is allowed
// to allow itself.
func Limit(pid, most int) error {
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		return fmt.Errorf("read the limit of process %d: %w", pid, err)
	}
	limit.Cur = limit.Max
	if most >= 0 {
		limit.Cur = min(limit.Max, uint64(most))
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		return fmt.Errorf("set the limit of process %d: %w", pid, err)
	}
	return nil
}

// asUserOf runs a command as the user of a process.
func asUserOf(pid int, cmd *exec.Cmd) ([]byte, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, fmt.Errorf("find the user of process %d: %w", pid, err)
	}
	uid, err1 := idIn(text, "Uid:")
	gid, err2 := idIn(text, "Gid:")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if int(uid) != os.Getuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	return cmd.CombinedOutput()
}

// idIn returns the first number of a line of /proc/PID/status.
func idIn(status []byte, key string) (uint32, error) {
	for line := range bytes.Lines(status) {
		if fields := strings.Fields(string(line)); len(fields) > 1 && fields[0] == key {
			id, err := strconv.ParseUint(fields[1], 10, 32)
			return uint32(id), err
		}
	}
	return 0, fmt.Errorf("a process has no %q", key)
}

// descriptors counts what a process has open.
func descriptors(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, fmt.Errorf("count descriptors: %w", err)
	}
	return len(entries), nil
}

// memoryGroups is where cgroups of memory are made, of version 1.
const memoryGroups = "/sys/fs/cgroup/memory"

// squeeze lets the worker of a node take only so much memory more: the kernel
// reclaims what it can, and kills the worker when that is not enough.
func (s *Stage) squeeze(f plan.Fault) (func() error, error) {
	n := s.node(f.Node)
	parts, err := n.parts()
	id, ok := parts[plan.Worker]
	if err != nil || !ok {
		return nil, err
	}
	home, err := memoryGroupOf(id.pid)
	if err != nil {
		s.Log("#%d is left out: no cgroup of memory can be made here: %v", f.ID, err)
		return nil, nil
	}
	dir := filepath.Join(memoryGroups, fmt.Sprintf("tchaos-%d-%d", os.Getpid(), f.ID))
	if err := os.Mkdir(dir, 0o755); err != nil {
		s.Log("#%d is left out: no cgroup of memory can be made here: %v", f.ID, err)
		return nil, nil
	}
	write := func(dir, file string, value int) error {
		return os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(value)), 0)
	}
	s.say(judge.Event{What: judge.Down, Node: n.index, Part: plan.Worker})
	// What it has is charged to where it was: the limit is about what comes.
	err = errors.Join(write(dir, "memory.limit_in_bytes", f.Amount<<20), write(dir, "cgroup.procs", id.pid))
	if !id.alive() {
		err = nil
	}
	return func() error {
		var err error
		if id.alive() {
			err = write(home, "cgroup.procs", id.pid)
		}
		for range 50 { // one that was killed is there until it is gone
			if failed := os.Remove(dir); failed == nil || errors.Is(failed, fs.ErrNotExist) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if !id.alive() {
			err = nil
		}
		s.say(judge.Event{What: judge.Up, Node: n.index, Part: plan.Worker})
		return err
	}, err
}

// memoryGroupOf returns the directory of the cgroup of memory that a process is in.
func memoryGroupOf(pid int) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && fields[1] == "memory" {
			return filepath.Join(memoryGroups, fields[2]), nil
		}
	}
	return "", errors.New("there are no cgroups of version 1")
}
