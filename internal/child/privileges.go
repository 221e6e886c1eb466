package child

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// agents are the capabilities of an agent: for addresses, for raw sockets, for a
// real-time scheduler, for memory that stays where it is.
const agents = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_SYS_NICE | 1<<unix.CAP_IPC_LOCK

// privileges returns the capabilities that the child of that name may have at most.
func privileges(name string) uint64 {
	if name == "agent" {
		return agents
	}
	return 0
}

// start starts cmd with no capability but those of most, for itself and for whatever it
// should start (capabilities(7)). All of that belongs to a thread: one that is given up
// for it, as its goroutine ends locked to it.
func start(cmd *exec.Cmd, most uint64) error {
	errC := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := bound(most)
		if err == nil {
			err = cmd.Start()
		}
		errC <- err
	}()
	return <-errC
}

// bound takes from the programs that this thread starts all capabilities but those of
// most; a kernel that is older than one of them does not know it (EINVAL). Without
// CAP_SETPCAP the bounding set stays as it is, which no_new_privs makes up for: unless it
// is root, no program gets anything out of it any more.
func bound(most uint64) error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if most&(1<<c) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_LOWER, c, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("give up ambient capability %d: %w", c, err)
		}
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	return nil
}
