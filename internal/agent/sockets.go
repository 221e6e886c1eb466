package agent

import (
	"context"
	"sync"
)

// opened is the outcome of opening a socket.
type opened struct {
	options SocketOptions
	conn    Socket
	err     error
}

// sockets opens and closes the sockets of the core beside its loop, and tells
// when one of them can be read.
type sockets struct {
	listen    func(SocketOptions) (Socket, error)
	ctx       context.Context // of the loop's run
	openedC   chan opened
	readableC chan *sharedSocket
	tasks     sync.WaitGroup
	shared    map[Socket]*sharedSocket // that the core has; owned by the loop
}

func newSockets(ctx context.Context, h Host) *sockets {
	return &sockets{
		listen: h.Listen, ctx: ctx,
		openedC: make(chan opened), readableC: make(chan *sharedSocket),
		shared: map[Socket]*sharedSocket{},
	}
}

// open opens a socket; the outcome comes through openedC.
func (s *sockets) open(o SocketOptions) {
	s.tasks.Go(func() {
		conn, err := s.listen(o)
		select {
		case s.openedC <- opened{o, conn, err}:
		case <-s.ctx.Done():
			if err == nil {
				conn.Close()
			}
		}
	})
}

// watch begins to tell when the socket can be read.
func (s *sockets) watch(conn Socket) {
	shared := &sharedSocket{Socket: conn, resume: make(chan struct{}, 1)}
	shared.watch(s.ctx, s.readableC)
	s.shared[conn] = shared
}

// close closes a socket, beside the loop: the kernel may be slow to leave a group.
func (s *sockets) close(conn Socket) {
	shared := s.shared[conn]
	delete(s.shared, conn)
	if shared == nil {
		s.tasks.Go(func() { conn.Close() })
		return
	}
	s.tasks.Go(shared.close)
}

// end closes what is open, and waits for all that was begun. The context that
// sockets was made with is done.
func (s *sockets) end() {
	for _, shared := range s.shared {
		shared.close()
	}
	s.tasks.Wait()
}

// sharedSocket is a VRRP socket with a goroutine that only says that something can
// be read; the core reads, so that it can empty the socket before it judges a
// silence.
type sharedSocket struct {
	Socket
	resume chan struct{} // capacity 1: the core has emptied the socket
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// watch starts the goroutine of s, which sends s to readableC whenever it can
// be read, and then waits for resume.
func (s *sharedSocket) watch(ctx context.Context, readableC chan<- *sharedSocket) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.wg.Go(func() {
		for {
			err := s.Wait()
			if ctx.Err() != nil {
				return
			}
			select {
			case readableC <- s:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return // the core meets the error itself when it reads
			}
			select {
			case <-s.resume:
			case <-ctx.Done():
				return
			}
		}
	})
}

// close ends the goroutine and the socket.
func (s *sharedSocket) close() {
	s.cancel()
	s.Close()
	s.wg.Wait()
}
