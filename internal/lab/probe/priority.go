package probe

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Prioritize puts this process before all that is not real-time, at the lowest
// real-time priority there is. A client on a machine of its own would not wait
// for the processor while a load balancer starts on another; nor must a prober
// that shares the processor with what it measures.
func Prioritize() error {
	// Threads inherit the policy of the thread that starts them. One that was
	// started meanwhile, by a thread not yet changed, is met in the second turn.
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		for _, thread := range threads {
			tid, err := strconv.Atoi(thread.Name())
			if err != nil {
				return fmt.Errorf("list threads: %w", err)
			}
			attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
			if err := unix.SchedSetAttr(tid, &attr, 0); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("set real-time priority: %w", err)
			}
		}
	}
	return nil
}
