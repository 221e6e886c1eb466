package l4

import (
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// tunnel copies between two connections until both directions have ended. Each
// direction ends by itself (half-close); a reset of either side resets the other.
type tunnel struct {
	client, server end

	// broken says that a write failed. The side that did not take it is gone, but
	// what it sent before is still delivered; then the other side is reset.
	broken atomic.Bool
}

// end is one connection of a tunnel.
type end struct {
	*net.TCPConn
	finished atomic.Bool // our FIN was sent
}

// run copies until both directions have ended, and closes both connections.
func (t *tunnel) run() {
	var wg sync.WaitGroup
	wg.Go(func() { t.copy(&t.server, &t.client) })
	t.copy(&t.client, &t.server)
	wg.Wait()
	if t.broken.Load() {
		t.abort()
		return
	}
	_ = t.client.Close()
	_ = t.server.Close()
}

// copy copies from src until its end, and passes that end on to dst.
func (t *tunnel) copy(dst, src *end) {
	// ReadFrom on two TCP connections is splice(2): no byte enters this process.
	_, err := dst.ReadFrom(src.TCPConn)

	// Neither the end of the copy nor its error tells which side it was: one
	// socket has one pending error, which the other direction may have been given,
	// leaving this one with what looks like a clean end. The state of src tells: it
	// is closed after a reset, and otherwise only once both sides sent their FIN.
	closed := src.closed()
	switch {
	case err == nil && (!closed || src.finished.Load()):
		dst.finished.Store(true)
		if dst.CloseWrite() != nil {
			t.broken.Store(true)
		}
	case closed:
		t.abort()
	default:
		t.broken.Store(true)
	}
}

// closed reports whether the kernel is done with the connection.
func (e *end) closed() bool {
	raw, err := e.SyscallConn()
	if err != nil {
		return true
	}
	closed := true
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		closed = err != nil || info.State == unix.BPF_TCP_CLOSE
	})
	return err != nil || closed
}

// abort resets both connections, which ends both copies.
func (t *tunnel) abort() {
	reset(t.client.TCPConn)
	reset(t.server.TCPConn)
}

// reset closes c so that its peer gets a RST.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
