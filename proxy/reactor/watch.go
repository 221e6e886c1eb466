package reactor

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// watchKey is the greatest key of a watch; those below it are its slots. Those of
// listeners are above it.
const watchKey = -1 << 24

// watch is a descriptor that the loop watches for others.
type watch struct {
	loop   *Loop
	fd     int32
	slot   int32
	f      func()
	queued bool // in the run queue
	done   bool
}

// Watch calls f whenever fd, which does not wait, has become readable or failed, and
// once at the beginning if it is so already: f reads until there is nothing left
// (EAGAIN), or posts itself to go on after the others have had their turn. It runs
// outside a coroutine: it must not wait.
//
// stop ends that; f is not called any more. It comes before the descriptor is closed,
// which is the caller's, and may be called again. Watch and stop are called by code
// that runs on the loop. The error is net.ErrClosed when the loop ends, which ends
// all watches.
func (l *Loop) Watch(fd int, f func()) (stop func(), err error) {
	if l.closing {
		return nil, net.ErrClosed
	}
	w := &watch{loop: l, fd: int32(fd), f: f}
	slot, generation := l.watches.Put(w)
	w.slot = slot
	if err := l.kernel.Add(fd, unix.EPOLLIN|unix.EPOLLET&(1<<32-1), watchKey-slot, generation); err != nil {
		l.watches.Remove(slot)
		return nil, fmt.Errorf("call a function when a descriptor is readable: %w", err)
	}
	return w.stop, nil
}

// event makes the loop call the function soon: when all events are noted, so that it
// may close what others of them are about.
func (w *watch) event() {
	if !w.queued {
		w.queued = true
		w.loop.ready.push(runnable{watch: w})
	}
}

func (w *watch) dispatch() {
	w.queued = false
	if !w.done && !w.loop.closing {
		w.loop.protect(w.f)
	}
}

func (w *watch) stop() {
	if w.done || w.loop.ended {
		return
	}
	w.done = true
	w.loop.watches.Remove(w.slot)
	// The socket may be shared with another process, and what epoll forgets by itself
	// is a socket that nobody has any more. An error would be that it is not watched.
	_ = w.loop.kernel.Control(unix.EPOLL_CTL_DEL, int(w.fd), 0, 0, 0)
}
