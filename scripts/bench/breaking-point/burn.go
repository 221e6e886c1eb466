package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

// burnPeriod is how often the proxies' processor is taken away from them.
const burnPeriod = time.Millisecond

// burn keeps the processor that it may run on busy, but for a share of each
// millisecond, ahead of everything that has no real-time scheduler. With a part of a
// processor alone, the proxy is the weakest link: client and server, which have a whole
// one, cost more than it does.
func burn(ctx context.Context, share float64) error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // nothing is allocated
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0); err != nil {
		return fmt.Errorf("take a real-time scheduler: %w (hint: this needs root)", err)
	}
	began := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		start := time.Duration(n) * burnPeriod
		for busy := start + time.Duration((1-share)*float64(burnPeriod)); time.Since(began) < busy; {
		}
		rest := unix.NsecToTimespec(int64(start + burnPeriod - time.Since(began)))
		if rest.Nano() > 0 {
			_ = unix.Nanosleep(&rest, nil) // a signal cuts it short, and the next period makes up for it
		} else {
			n = int(time.Since(began) / burnPeriod) // the machine has stood still
		}
	}
	return nil
}

// startBurning starts this program anew to burn the processor of the proxies.
func startBurning(cpu int, share float64) (end func(), err error) {
	self, err := os.Executable() // /proc/self/exe would be taskset
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	end, err = side.Beside(exec.Command("taskset", "-c", fmt.Sprint(cpu), self, "-burn", "-share", fmt.Sprint(share)))
	if err != nil {
		return nil, fmt.Errorf("burn a part of processor %d: %w", cpu, err)
	}
	return end, nil
}
