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
// should start (capabilities(7)).
func start(cmd *exec.Cmd, most uint64) (err error) {
	// The kernel starts no program that has capabilities in its file, and would not
	// get them (capabilities(7), "Safety checking for capability-dumb binaries").
	granted, _ := unix.Getxattr(cmd.Path, "security.capability", nil)
	onSpareThread(func() {
		if err = bound(most, granted > 0); err != nil {
			return
		}
		// To become another user takes capabilities, which it then loses.
		if cmd.SysProcAttr == nil || cmd.SysProcAttr.Credential == nil {
			if err = keep(most); err != nil {
				return
			}
		}
		err = cmd.Start()
	})
	return err
}

// onSpareThread runs f on a thread that is given up for it: what f takes from it, the
// others keep. It is not the first one, which cannot end, and by which the whole process
// is judged from outside.
func onSpareThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return // locked: the thread ends
		}
		onSpareThread(f) // while this one is kept busy
		runtime.UnlockOSThread()
	}()
	<-done
}

// bound takes from the programs that this thread starts all capabilities but those of
// most; a kernel that is older than one of them does not know it (EINVAL). Without
// CAP_SETPCAP, or when it must stay, the bounding set is as it was, which no_new_privs
// makes up for: what this thread has lost no program gets any more, be it root's or one
// with capabilities in its file.
func bound(most uint64, stays bool) error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if most&(1<<c) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_LOWER, c, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("give up ambient capability %d: %w", c, err)
		}
		if !stays {
			_ = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	return nil
}

// keep leaves this thread the capabilities of most, of those that it has.
func keep(most uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	for i, part := range []uint32{uint32(most), uint32(most >> 32)} {
		data[i].Effective &= part
		data[i].Permitted &= part
		data[i].Inheritable &= part
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	return nil
}
