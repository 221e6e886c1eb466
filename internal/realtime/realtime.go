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
			return fmt.Errorf("run under SCHED_RR: %w (%s)", err, hint(mayAskFor()))
		}
		if changed == 0 {
			return nil
		}
	}
	return nil
}

// mayAskFor reports whether this process has the capability for it.
func mayAskFor() bool {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_SYS_NICE) != 0
}

// hint says what a process lacks that may not run in real time. One with the
// capability is refused by a cgroup of version 1 whose share of real time is nothing,
// which is what a new one has (CONFIG_RT_GROUP_SCHED).
func hint(capable bool) string {
	if capable {
		return "has CAP_SYS_NICE, but its cpu cgroup no real-time share: cpu.rt_runtime_us is 0 there; a container gets some with --cpu-rt-runtime"
	}
	return "needs CAP_SYS_NICE or a limit for real-time priority; a container gets it with --cap-add SYS_NICE"
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
		return fmt.Errorf("lock memory: %w (needs CAP_IPC_LOCK or a larger limit for locked memory; a container gets it with --cap-add IPC_LOCK)", err)
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
