package side

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxFiles is as many descriptors as anything here needs.
const maxFiles = 65536

// RaiseFiles raises the limit of open descriptors for this process and those it
// starts, as far as it may, and returns it.
func RaiseFiles() (int, error) {
	raised := syscall.Rlimit{Cur: maxFiles, Max: maxFiles}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		return maxFiles, nil
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	// Said even when it is so already: only then is it passed on to children.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("raise the limit of open files to %d: %w", limit.Max, err)
	}
	if limit.Max < 2000 {
		return 0, fmt.Errorf("a process may open %d files: want 2000 or more (hint: ulimit -Hn)", limit.Max)
	}
	return int(min(limit.Max, maxFiles)), nil
}

// Settled waits until the memory of the processes has not changed for a second, or
// for eight seconds, and returns it.
func Settled(ctx context.Context, pids []int) (int, error) {
	const every, calm, patience = 200 * time.Millisecond, 5, 40
	last, same := -1, 0
	for range patience {
		now, err := Resident(pids)
		if err != nil {
			return 0, err
		}
		if now != last {
			last, same = now, 0
		} else if same++; same == calm {
			break
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(every):
		}
	}
	return last, nil
}

// Resident returns the resident memory of processes in bytes. smaps_rollup counts
// the pages; the counters in statm may be off by hundreds of kilobytes.
func Resident(pids []int) (int, error) {
	sum := 0
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
		}
		n, err := parseResident(string(text))
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", pid, err)
		}
		sum += n
	}
	return sum, nil
}

func parseResident(rollup string) (int, error) {
	for line := range strings.Lines(rollup) {
		if rest, ok := strings.CutPrefix(line, "Rss:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				return 0, fmt.Errorf("parse %q: %w", line, err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.New("no line Rss in smaps_rollup")
}
