package probe

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// The priority is set in a process of its own, not in that of the other tests.
func TestPrioritize(t *testing.T) {
	if os.Getenv("PROBE_PRIORITIZE") == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestPrioritize$", "-test.v")
		cmd.Env = append(os.Environ(), "PROBE_PRIORITIZE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	err := Prioritize()
	if errors.Is(err, unix.EPERM) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			t.Fatal(err)
		}
		attr, err := unix.SchedGetAttr(tid, 0)
		if err != nil {
			t.Fatal(err)
		}
		if attr.Policy != unix.SCHED_RR || attr.Priority != 1 {
			t.Errorf("thread %d has policy %d, priority %d; want %d, 1", tid, attr.Policy, attr.Priority, unix.SCHED_RR)
		}
	}
}
