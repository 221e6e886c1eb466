package lab

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ErrNotPermitted is returned when this process may not make network
// namespaces or change what is inside them.
var ErrNotPermitted = errors.New("not permitted (hint: this needs CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root, for example with sudo; in a container, start it with --privileged)")

// permitted marks err as ErrNotPermitted when the kernel refused for lack of
// privilege. A container without privilege shows as a read-only /proc/sys.
func permitted(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
		return fmt.Errorf("%w: %w", err, ErrNotPermitted)
	}
	return err
}

// newNamespace makes a network namespace, held by the returned descriptor.
func newNamespace() (netns.NsHandle, error) {
	made := netns.None()
	err := visit(func() (err error) {
		made, err = netns.New()
		return err
	}, func() error { return nil })
	if err != nil {
		return netns.None(), fmt.Errorf("create network namespace: %w", permitted(err))
	}
	return made, nil
}

// inNamespace runs f on a thread that is in ns.
func inNamespace(ns netns.NsHandle, f func() error) error {
	return visit(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter network namespace: %w", permitted(err))
		}
		return nil
	}, f)
}

// visit runs f after enter has changed the network namespace of the thread,
// and takes the thread home afterwards, also when f panics or ends its
// goroutine, as a failing test does. An enter that fails has moved nothing.
func visit(enter, f func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own network namespace: %w", err)
	}
	defer home.Close()
	if err := enter(); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		if err := netns.Set(home); err != nil {
			// The thread stays locked: no other goroutine may run in a
			// network that is not its own.
			panic(fmt.Sprintf("lab: return to own network namespace: %v", err))
		}
		runtime.UnlockOSThread()
	}()
	return f()
}

// setSysctls writes keys below /proc/sys/net of the calling thread's namespace.
// A key that the kernel does not have (IPv6 may be absent) is passed over.
func setSysctls(value string, keys ...string) error {
	for _, key := range keys {
		err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("set sysctl net/%s to %q: %w", key, value, permitted(err))
		}
	}
	return nil
}
