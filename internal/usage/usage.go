// Package usage says what the process that it runs in uses of its host.
package usage

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is what a process uses. What cannot be read is 0.
type Process struct {
	CPU             time.Duration // since it started
	Memory          uint64        // resident, in bytes
	Descriptors     uint64        // open
	DescriptorLimit uint64        // 0: there is none
	Goroutines      int
}

// Read returns what this process uses. It opens files of /proc, and no other.
func Read() Process {
	return Process{
		CPU: cpu(), Memory: Memory(), Descriptors: Descriptors(), DescriptorLimit: DescriptorLimit(), Goroutines: runtime.NumGoroutine(),
	}
}

func cpu() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// DescriptorLimit returns how many descriptors this process may have open; 0: any number.
func DescriptorLimit() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil || l.Cur == unix.RLIM_INFINITY {
		return 0
	}
	return l.Cur
}

// Descriptors counts those that are open. Since Linux 6.2 the size of the directory
// says it; before, it has to be read, which takes milliseconds with 100,000 of them.
func Descriptors() uint64 {
	var st unix.Stat_t
	if unix.Stat("/proc/self/fd", &st) == nil && st.Size > 0 {
		return uint64(st.Size)
	}
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	return uint64(len(names))
}

// Memory returns the bytes of the process that are in memory.
func Memory() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}
