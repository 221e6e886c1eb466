// Package sandbox takes from a process what it does not need, before it reads the first
// byte of a stranger. It is for the worker: one that is taken over can neither read nor
// write files, start a program, open a port, nor reach other processes of its host.
//
// What the kernel does not have is left out and said; nothing here keeps a node from
// serving.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// State is what is in force in a process.
type State struct {
	UID          int
	Capabilities string // effective, permitted, inheritable and ambient together: hexadecimal; empty: none
	Bounding     string // what a program that it started could get at most; empty: nothing
	NoNewPrivs   bool
	Landlock     int      // version of its ABI; 0: it is not in force
	Seccomp      bool     // a filter of system calls
	Missing      []string // what of the sandbox is not in force, and why
}

// Enter puts this process, all of its threads, into the sandbox, for good, and returns
// what is in force. It is called before other goroutines run that open files.
func Enter() State {
	var s State
	s.try("no core dumps", noCore())
	s.try("no_new_privs", noNewPrivs())
	self, err := unix.Open("/proc/self", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		// Kept open for good: the rule is for this very inode, which the kernel may
		// forget, and make another one, while nobody holds it.
		s.Landlock, err = restrictFiles(self)
	}
	s.try("landlock", err)
	err = filterCalls()
	s.Seccomp = err == nil
	s.try("seccomp", err)
	s.try("the state of the process", s.observe())
	return s
}

// try notes that what is not in force if err is not nil.
func (s *State) try(what string, err error) {
	if err != nil {
		s.Missing = append(s.Missing, what+": "+err.Error())
	}
}

// noCore keeps what is in memory, private keys among it, out of core dumps and from
// other processes of the same user.
func noCore() error {
	// The kernel has no new code run in this process either, where it can be told to.
	_ = unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
	return errors.Join(
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
	)
}

// noNewPrivs sets the flag for this thread; where there is a filter, or landlock, it
// is set for the others with that. A worker has it from its supervisor, in all threads.
func noNewPrivs() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// observe reads what the kernel says of this process.
func (s *State) observe() error {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	return s.parse(string(text))
}

// parse takes what it needs out of a file /proc/PID/status.
func (s *State) parse(text string) error {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields[key] = strings.TrimSpace(value)
	}
	uids := strings.Fields(fields["Uid"]) // real, effective, saved, of the file system
	if len(uids) < 2 {
		return errors.New("it names no user")
	}
	uid, err := strconv.Atoi(uids[1])
	if err != nil {
		return fmt.Errorf("read the user %q: %w", uids[1], err)
	}
	var all uint64
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
		n, err := strconv.ParseUint(fields[set], 16, 64)
		if err != nil {
			return fmt.Errorf("read %s: %w", set, err)
		}
		all |= n
	}
	bounding, err := strconv.ParseUint(fields["CapBnd"], 16, 64)
	if err != nil {
		return fmt.Errorf("read CapBnd: %w", err)
	}
	s.UID, s.Capabilities, s.Bounding = uid, set(all), set(bounding)
	s.NoNewPrivs = fields["NoNewPrivs"] == "1"
	s.Seccomp = fields["Seccomp"] == "2"
	return nil
}

// set is a set of capabilities as the kernel writes it; empty when it is.
func set(bits uint64) string {
	if bits == 0 {
		return ""
	}
	return strconv.FormatUint(bits, 16)
}
