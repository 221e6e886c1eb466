package stage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// identity is a process. Its number alone is not: it is given to another one when the
// process has ended, of whoever that is.
type identity struct {
	pid   int
	start uint64 // when it was started, in the kernel's ticks
}

// identify returns the process that has a number now; ok is false if none has.
func identify(pid int) (p identity, ok bool) {
	start, state := statOf(pid)
	return identity{pid, start}, state != 0
}

// alive reports whether the process runs, and is no zombie.
func (p identity) alive() bool {
	start, state := statOf(p.pid)
	return p.pid != 0 && state != 0 && state != 'Z' && start == p.start
}

// send sends a signal. It is no error when the process has ended.
func (p identity) send(sig syscall.Signal) error {
	if !p.alive() {
		return nil
	}
	if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", sig, p.pid, err)
	}
	return nil
}

// statOf reads the start and the state of a process; the state is 0 if there is none.
func statOf(pid int) (start uint64, state byte) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// The name comes before, in parentheses, and may itself hold spaces and
	// parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const stateAt, startAt = 0, 19
	if len(fields) <= startAt {
		return 0, 0
	}
	start, err = strconv.ParseUint(string(fields[startAt]), 10, 64)
	if err != nil {
		return 0, 0
	}
	return start, fields[stateAt][0]
}
