package main

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// ctrlC is what the key sends where it makes no signal.
const ctrlC = 3

// keys reads what somebody types at a terminal, key by key and unseen.
type keys struct {
	in    *os.File
	state *term.State // of the terminal before
	stop  *os.File    // ends the reading when it is closed
	done  chan struct{}
}

// readKeys reads until one quits, which calls quit, or until close.
func readKeys(in *os.File, quit func()) (*keys, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		r.Close()
		w.Close()
		return nil, fmt.Errorf("read keys: %w", err)
	}
	k := &keys{in: in, state: state, stop: w, done: make(chan struct{})}
	go func() {
		defer close(k.done)
		defer r.Close()
		k.read(r, quit)
	}()
	return k, nil
}

func (k *keys) read(stopped *os.File, quit func()) {
	// A read of a terminal cannot be given up: it is begun when there is something.
	wait := []unix.PollFd{{Fd: int32(k.in.Fd()), Events: unix.POLLIN}, {Fd: int32(stopped.Fd()), Events: unix.POLLIN}}
	buf := make([]byte, 64)
	for {
		if _, err := unix.Poll(wait, -1); err == unix.EINTR {
			continue
		} else if err != nil || wait[1].Revents != 0 {
			return
		}
		n, err := unix.Read(int(wait[0].Fd), buf)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil || n <= 0 || slices.ContainsFunc(buf[:n], func(b byte) bool { return b == 'q' || b == 'Q' || b == ctrlC }) {
			quit() // also when the terminal is gone
			return
		}
	}
}

// close ends the reading, and sets the terminal to what it was.
func (k *keys) close() {
	k.stop.Close()
	<-k.done
	_ = term.Restore(int(k.in.Fd()), k.state) // it may be gone
}
