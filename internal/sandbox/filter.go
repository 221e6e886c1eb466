package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets of struct seccomp_data (seccomp(2)); of an argument, its lower half: both
// architectures are little-endian.
const (
	callNumber = 0
	callArch   = 4
	argument   = 16 // the first; each has 8 bytes
)

// What the kernel is told to do with a call.
const (
	allow    = unix.SECCOMP_RET_ALLOW
	refuse   = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	noSuch   = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	netlinkA = 12 // bytes of a sockaddr_nl; each of the internet is longer
)

// refused are calls that a worker never makes: to start programs, to look into other
// processes, to change the host, and those in which kernels have had their worst bugs.
// It is no list of all that is needed: the runtime of Go may take up another call any
// day, and a proxy that ends with it protects nobody.
var refused = []uint32{
	unix.SYS_ACCT, unix.SYS_ADD_KEY, unix.SYS_ADJTIMEX, unix.SYS_BPF, unix.SYS_CHROOT, unix.SYS_CLOCK_ADJTIME,
	unix.SYS_CLOCK_SETTIME, unix.SYS_DELETE_MODULE, unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_FANOTIFY_INIT,
	unix.SYS_FINIT_MODULE, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSOPEN, unix.SYS_FSPICK, unix.SYS_INIT_MODULE,
	unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_IO_URING_SETUP, unix.SYS_KCMP, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEYCTL, unix.SYS_LISTEN, unix.SYS_MIGRATE_PAGES, unix.SYS_MOUNT, unix.SYS_MOUNT_SETATTR,
	unix.SYS_MOVE_MOUNT, unix.SYS_MOVE_PAGES, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_OPEN_TREE,
	unix.SYS_PERF_EVENT_OPEN, unix.SYS_PERSONALITY, unix.SYS_PIDFD_GETFD, unix.SYS_PIVOT_ROOT, unix.SYS_PROCESS_MADVISE,
	unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PTRACE, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	unix.SYS_REBOOT, unix.SYS_REQUEST_KEY, unix.SYS_SETDOMAINNAME, unix.SYS_SETHOSTNAME, unix.SYS_SETNS,
	unix.SYS_SETTIMEOFDAY, unix.SYS_SWAPOFF, unix.SYS_SWAPON, unix.SYS_SYSLOG, unix.SYS_UMOUNT2, unix.SYS_UNSHARE,
	unix.SYS_USERFAULTFD, unix.SYS_VHANGUP,
}

// machine is what a filter has to know of an architecture.
type machine struct {
	audit   uint32 // its AUDIT_ARCH
	foreign uint32 // calls from this number on are of another ABI; 0: there is none
	refused []uint32
}

// program returns the filter. The order is for speed on kernels that run it for each
// call: since Linux 5.11 they remember which are allowed whatever their arguments are.
func (m machine) program() []bpf.Instruction {
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: callArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: m.audit, SkipTrue: 1},
		bpf.RetConstant{Val: refuse}, // a 32-bit call, which has other numbers
		bpf.LoadAbsolute{Off: callNumber, Size: 4},
	}
	if m.foreign != 0 {
		p = append(p,
			bpf.JumpIf{Cond: bpf.JumpLessThan, Val: m.foreign, SkipTrue: 1},
			bpf.RetConstant{Val: refuse},
		)
	}
	p = append(p, only(unix.SYS_SOCKET, 0, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK)...)
	p = append(p, only(unix.SYS_BIND, 2, netlinkA)...)
	// Threads are what Go makes; processes, and those in namespaces of their own, are not.
	p = append(p,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE, SkipTrue: 4},
		bpf.LoadAbsolute{Off: argument, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.CLONE_THREAD, SkipTrue: 1},
		bpf.RetConstant{Val: refuse},
		bpf.RetConstant{Val: allow},
		// What it is to do is in memory, which no filter sees. A C library does with
		// clone when it does not exist.
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE3, SkipTrue: 1},
		bpf.RetConstant{Val: noSuch},
	)
	return append(p, search(slices.Sorted(slices.Values(append(slices.Clone(refused), m.refused...))))...)
}

// only lets call pass with an argument, counted from 0, of one of values.
func only(call, arg uint32, values ...uint32) []bpf.Instruction {
	p := []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: uint8(len(values) + 3)},
		bpf.LoadAbsolute{Off: argument + 8*arg, Size: 4},
	}
	for i, v := range values {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	return append(p, bpf.RetConstant{Val: refuse}, bpf.RetConstant{Val: allow})
}

// search refuses the calls of sorted, and lets others pass, in a number of steps that
// grows with the logarithm of theirs.
func search(sorted []uint32) []bpf.Instruction {
	const few = 4
	if len(sorted) <= few {
		var p []bpf.Instruction
		for i, call := range sorted {
			p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: call, SkipTrue: uint8(len(sorted) - i)})
		}
		return append(p, bpf.RetConstant{Val: allow}, bpf.RetConstant{Val: refuse})
	}
	middle := len(sorted) / 2
	low, high := search(sorted[:middle]), search(sorted[middle:])
	p := []bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: sorted[middle], SkipTrue: uint8(len(low))}}
	return append(append(p, low...), high...)
}

// filterCalls puts the filter in force, for all threads.
func filterCalls() error {
	m, known := machines[runtime.GOARCH]
	if !known {
		return errors.New("there is no filter for " + runtime.GOARCH)
	}
	raw, err := bpf.Assemble(m.program())
	if err != nil {
		return fmt.Errorf("assemble the filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel asks for it, of the calling thread.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	// Without SPEC_ALLOW kernels before 5.16 slow the process down against code that it
	// does not run.
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	// The pointer is to memory that the kernel reads before the call returns.
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(filter)
	switch {
	case errno != 0:
		return fmt.Errorf("set the filter: %w", errno)
	case thread != 0:
		return fmt.Errorf("set the filter: thread %d has another one", thread)
	}
	return nil
}
