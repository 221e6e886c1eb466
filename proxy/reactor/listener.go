package reactor

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor/epoll"
	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// ListenOptions say how the connections of a listener are served.
type ListenOptions struct {
	// Serve serves a connection that has something to read, on a coroutine. When
	// it returns true, the connection is parked: it holds no coroutine, and Serve
	// is called again when the next bytes arrive. Bytes that Serve has taken from
	// the connection and not used are the caller's to keep, in State, and so is
	// the read deadline for the next ones. When it returns false, the connection
	// is closed. Required.
	Serve func(c *Conn) (keep bool)

	// Closed is called once for each connection after it was closed, outside a
	// coroutine: it must not wait. reason is nil when Serve ended it, io.EOF when
	// the peer closed it while it was parked, os.ErrDeadlineExceeded when its
	// read deadline passed then, net.ErrClosed when it was drained or the reactor
	// ended, ErrPanicked, or the error of the socket. Optional.
	Closed func(c *Conn, reason error)

	// Closing is called before a connection is closed that was parked, or that Serve
	// has ended, unless its peer was first: for a last word. It must not wait. Optional.
	Closing func(c *Conn)

	// AtOnce calls Serve as soon as a connection is accepted, for protocols in
	// which the server speaks first.
	AtOnce bool

	// Accepted is called once for each new connection, outside a coroutine: it must
	// not wait. When it returns false, Serve is called as with AtOnce, to turn the
	// connection away before it has said a word. Optional.
	Accepted func(c *Conn) (wait bool)

	// Timeout is the read deadline of a new connection, from its accept: for its
	// first bytes, and for Serve until it sets another one. 0 means none.
	Timeout time.Duration

	// Refusal is sent to a connection that cannot be served because the process
	// or the host is out of descriptors. nil: it is reset.
	Refusal []byte
}

// Listener accepts connections for all loops. Any goroutine may call its methods.
type Listener struct {
	options ListenOptions
	loop    *Loop // that accepts, and hands over to the others
	fd      int
	key     int32
	spare   int // a descriptor to give up when there are no more; -1: none

	stopped bool  // Pause
	resting bool  // the host is short of something
	timer   timer // of the rest
	gone    bool

	draining atomic.Bool
	accepted atomic.Uint64
	refused  atomic.Uint64
	failed   atomic.Uint64
	open     atomic.Int64
}

// Listen serves the connections of a listening TCP or unix stream socket, such as
// a *net.TCPListener or an *os.File that another process handed over. The
// descriptor is duplicated: the caller keeps l, and may close it. Nothing else in
// this process may accept from it. It may be called before Run.
//
// One loop accepts, and hands a connection to the loop with the fewest. Where one
// core is not enough for accepting, listen on several sockets (SO_REUSEPORT): each
// goes to the next loop.
func (r *Reactor) Listen(l syscall.Conn, o ListenOptions) (*Listener, error) {
	if o.Serve == nil {
		return nil, errors.New("listen: no function to serve connections")
	}
	fd, err := socket.Share(l)
	if err != nil {
		return nil, fmt.Errorf("take over the listening socket: %w", err)
	}
	ln := &Listener{options: o, fd: fd, spare: socket.OpenSpare()}
	ln.timer.Owner = ln
	ln.loop = r.loops[int(r.placed.Add(1)-1)%len(r.loops)]
	if err := ln.loop.listeners.add(&ln.loop.kernel, ln); err != nil {
		ln.release()
		return nil, fmt.Errorf("accept connections: %w", err)
	}
	return ln, nil
}

// Accepted returns how many connections were accepted, without those that were
// refused.
func (ln *Listener) Accepted() uint64 { return ln.accepted.Load() }

// Refused returns how many connections were turned away because the process or
// the host was out of descriptors.
func (ln *Listener) Refused() uint64 { return ln.refused.Load() }

// Failed returns how many accepts failed: out of descriptors or memory, or a
// connection that was gone already.
func (ln *Listener) Failed() uint64 { return ln.failed.Load() }

// Open returns how many connections are open, parked ones included.
func (ln *Listener) Open() int64 { return ln.open.Load() }

// Draining reports whether Drain was called: a handler should tell its client
// that this answer is the last one.
func (ln *Listener) Draining() bool { return ln.draining.Load() }

// Listener returns the listener that accepted the connection, or nil.
func (c *Conn) Listener() *Listener { return c.listener }

// Pause stops accepting, soon. New connections wait in the kernel.
func (ln *Listener) Pause() { ln.change(func() { ln.stopped = true }) }

// Resume ends a Pause.
func (ln *Listener) Resume() { ln.change(func() { ln.stopped = false }) }

// Close stops accepting, soon, for good. Connections live on. It does not close
// the socket of other processes, or the caller's own.
func (ln *Listener) Close() {
	_ = ln.loop.Post(func() { ln.loop.listeners.remove(ln) }) // else it is closed
}

// Drain closes all parked connections, and the others as soon as they are to be
// parked. A connection that has sent a request already, or has just connected, is
// still served. It does not stop accepting.
func (ln *Listener) Drain() {
	ln.draining.Store(true)
	ln.Each((*Conn).drain)
}

// Abort resets all connections.
func (ln *Listener) Abort() {
	ln.Each(func(c *Conn) { _ = c.Abort() }) // Each has only open ones
}

// Each calls f for each connection, soon and on the loop of the connection. f must
// not wait.
func (ln *Listener) Each(f func(*Conn)) {
	for _, l := range ln.loop.reactor.loops {
		_ = l.Post(func() { // else the loop has ended, and its connections
			for i := 0; i < l.conns.Len(); i++ {
				if c, _ := l.conns.At(i); c != nil && c.listener == ln {
					f(c)
				}
			}
		})
	}
}

// change changes what decides whether connections are accepted.
func (ln *Listener) change(f func()) {
	_ = ln.loop.Post(func() { // else the loop has ended
		f()
		ln.watch()
	})
}

// watch makes the kernel report new connections, or not.
func (ln *Listener) watch() {
	if ln.gone {
		return
	}
	events := uint32(unix.EPOLLIN)
	if ln.stopped || ln.resting {
		events = 0
	}
	if err := ln.loop.kernel.Control(unix.EPOLL_CTL_MOD, ln.fd, events, ln.key, 0); err != nil {
		panic("reactor: " + err.Error()) // it is watched already: no reason to fail
	}
}

func (ln *Listener) release() {
	ln.gone = true
	ln.loop.timers.Remove(&ln.timer)
	unix.Close(ln.fd)
	if ln.spare >= 0 {
		unix.Close(ln.spare)
	}
}

// listeners are those that a loop accepts from. They are added by any goroutine.
type listeners struct {
	mu     sync.Mutex
	all    []*Listener // nil where one was removed
	closed bool
}

// The keys of listeners are below epoll.WakeKey.

func (s *listeners) add(p *epoll.Poller, ln *Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	// A late event of the listener that had this place before is harmless: there
	// is nothing to accept.
	i := slices.Index(s.all, nil)
	if i < 0 {
		i = len(s.all)
		s.all = append(s.all, nil)
	}
	ln.key = int32(epoll.WakeKey - 1 - i)
	if err := p.Add(ln.fd, unix.EPOLLIN, ln.key, 0); err != nil {
		return err
	}
	s.all[i] = ln
	return nil
}

// get returns nil when the listener was removed.
func (s *listeners) get(key int32) *Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[epoll.WakeKey-1-key]
}

func (s *listeners) remove(ln *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ln.gone {
		return
	}
	s.all[epoll.WakeKey-1-ln.key] = nil
	// The socket is shared with others, and what epoll forgets with the last
	// descriptor is a socket. An error would be that it is not watched.
	_ = ln.loop.kernel.Control(unix.EPOLL_CTL_DEL, ln.fd, 0, 0, 0)
	ln.release()
}

// close removes all, and lets none be added.
func (s *listeners) close() {
	s.mu.Lock()
	s.closed = true
	all := slices.Clone(s.all)
	s.mu.Unlock()
	for _, ln := range all {
		if ln != nil {
			s.remove(ln)
		}
	}
}
