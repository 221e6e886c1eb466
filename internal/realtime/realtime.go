// Package realtime makes a process as punctual as the kernel permits.
package realtime

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// realtimePriority is above everything ordinary and below what the kernel
// itself runs at 50 and more (threaded interrupts).
const realtimePriority = 49

// Schedule puts every thread of the process under SCHED_RR. A thread that the
// runtime starts later inherits it from the thread that starts it.
func Schedule() error {
	for pass := 0; pass < 10; pass++ {
		changed, err := realtimeThreads()
		if err != nil {
			return fmt.Errorf("run under SCHED_RR: %w (needs CAP_SYS_NICE or a limit for real-time priority)", err)
		}
		if changed == 0 {
			return nil
		}
	}
	return nil
}

func realtimeThreads() (changed int, err error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, err
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return changed, err
		}
		attr, err := unix.SchedGetAttr(tid, 0)
		if errors.Is(err, unix.ESRCH) || err == nil && attr.Policy == unix.SCHED_RR {
			continue // it has ended, or needs nothing
		}
		attr = &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: realtimePriority}
		if err := unix.SchedSetAttr(tid, attr, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return changed, err
		}
		changed++
	}
	return changed, nil
}

// LockMemory keeps pages once touched in memory, and touches the program's own
// text, so that a node whose disk hangs still sends its heartbeat. Not all is
// locked at once: the runtime reserves far more than it uses.
func LockMemory() error {
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return fmt.Errorf("lock memory: %w (needs CAP_IPC_LOCK or a larger limit for locked memory)", err)
	}
	if err := touchText(); err != nil {
		return fmt.Errorf("load the program text into memory: %w", err)
	}
	return nil
}

func touchText() error {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || !strings.HasPrefix(fields[1], "r") || !strings.HasPrefix(fields[5], "/") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		low, err1 := strconv.ParseUint(from, 16, 64)
		high, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("unexpected line %q in /proc/self/maps", lines.Text())
		}
		_, _, errno := unix.Syscall(unix.SYS_MADVISE, uintptr(low), uintptr(high-low), unix.MADV_POPULATE_READ)
		if errno != 0 && errno != unix.EINVAL { // EINVAL: Linux before 5.14
			return errno
		}
	}
	return lines.Err()
}
