package agent

import (
	"context"
	"sync"
	"time"
)

// opened is the outcome of opening a socket.
type opened struct {
	options SocketOptions
	conn    Socket
	err     error
}

// sockets opens and closes the sockets of the core beside its loop, which waits for
// them while they are open.
type sockets struct {
	loop   *loop
	ctx    context.Context // of the loop's run
	waiter Waiter
	tasks  sync.WaitGroup
	shared map[Socket]bool // that the core has; owned by the loop
}

func newSockets(ctx context.Context, l *loop, w Waiter) *sockets {
	return &sockets{loop: l, ctx: ctx, waiter: w, shared: map[Socket]bool{}}
}

// open opens a socket; the core hears of the outcome.
func (s *sockets) open(o SocketOptions) {
	s.tasks.Go(func() {
		conn, err := s.loop.host.Listen(o)
		if s.ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		s.loop.post(func(c *core, now time.Time) { s.hand(c, now, opened{o, conn, err}) })
	})
}

// hand gives a socket that was opened to the core, and has it waited for.
func (s *sockets) hand(c *core, now time.Time, o opened) {
	if o.err == nil {
		if o.err = s.waiter.Add(o.conn); o.err != nil {
			s.tasks.Go(func() { o.conn.Close() })
		}
	}
	if o.err == nil {
		s.shared[o.conn] = true
	}
	c.opened(now, o)
}

// close closes a socket, beside the loop: the kernel may be slow to leave a group.
func (s *sockets) close(conn Socket) {
	if s.shared[conn] {
		delete(s.shared, conn)
		s.waiter.Remove(conn)
	}
	s.tasks.Go(func() { conn.Close() })
}

// end closes what is open, and waits for all that was begun. The context that
// sockets was made with is done.
func (s *sockets) end() {
	for conn := range s.shared {
		conn.Close()
	}
	s.tasks.Wait()
}
