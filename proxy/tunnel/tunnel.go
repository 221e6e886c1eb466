// Package tunnel carries bytes between a client and a server without looking at
// them, on a loop of package reactor.
package tunnel

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/socket"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
)

// Tunnel is two connections of one loop that speak with each other. Each direction
// ends by itself (half-close); a reset of either side resets the other, and so does an
// end that TLS does not vouch for. It holds no buffer: bytes move through one of the
// loop, or through a pipe of the kernel, which are taken while there are some.
type Tunnel struct {
	Client, Server tlsconn.Stream

	// Silence is how long both sides may say nothing; 0: for ever. HalfClosed is how
	// long, once one of them has finished: what is left then is mostly a peer that has
	// forgotten the connection; 0: no less.
	Silence, HalfClosed time.Duration

	// Scratch is memory that all tunnels of the loop may share, see [ScratchSize]. nil:
	// everything goes through pipes, and what is TLS through memory of its own.
	Scratch []byte

	// In and Out are added to, by as many bytes as have come from the client, and gone
	// there. nil: they are not counted.
	In, Out *atomic.Uint64

	// Heard, unless it is nil, is called with what comes first of a server over TLS: nil is
	// a word of its, or its end; else TLS has failed, which may mean that the server does
	// not like what this side has shown it.
	Heard func(error)

	client, server side
	heard          bool // something of a server over TLS
	refused        bool // by such a server, which had not said a word
	end            End
	stop           func() // of the watch for a half-closed tunnel; nil: there is none
}

// pipeRest is how long a direction waits when the host has no descriptors for a pipe.
const pipeRest = 20 * time.Millisecond

// End is how a tunnel ended.
type End uint8

// The ends.
const (
	Closed     End = iota // both sides had finished
	Broken                // a side was reset, or gone
	Unanswered            // as Broken, by the server, which had not said a word
	Silent                // nothing was said for too long
	Aborted               // by Abort
)

// side is what is known of one of the connections.
type side struct {
	finished bool // our FIN was sent there
	// broken: a write failed. It is gone, but what it sent before is still
	// delivered; then the other side is reset.
	broken bool
}

// Run carries bytes until both directions have ended, and closes both connections.
// It is called on a coroutine.
func (t *Tunnel) Run() End {
	loop := t.Client.Loop()
	for _, c := range []*reactor.Conn{t.Client.Conn, t.Server.Conn} {
		c.WatchHangup(nil)
		_ = c.SetDeadline(time.Time{}) // those of before
		c.SetReadBudget(reactor.Unlimited)
		c.SetWriteBudget(reactor.Unlimited)
	}
	defer t.keepAlive(loop)()
	if t.Silence > 0 {
		defer t.watch(loop, t.Silence)()
	}
	defer func() {
		if t.stop != nil {
			t.stop()
		}
	}()
	up := loop.Go(func() { t.carry(t.Server, t.Client, &t.server, &t.client) })
	t.carry(t.Client, t.Server, &t.client, &t.server)
	_ = up.Wait() // its panic is counted where it is recovered
	if t.client.broken || t.server.broken {
		t.reset(Broken)
	}
	_ = t.Client.Close() // or it was reset
	_ = t.Server.Close()
	return t.end
}

// keepAliveAfter is how long a tunnel lives before its peers are asked for: most end
// before, and are spared eight system calls.
const keepAliveAfter = 2 * time.Second

// keepAlive has the kernel ask for a peer that says nothing, so that one which has
// vanished, with its host or a firewall's memory of it, does not hold a tunnel that
// may be silent for long. Exchanges of HTTP are bounded by their deadlines.
func (t *Tunnel) keepAlive(loop *reactor.Loop) (stop func()) {
	stop = loop.Every(keepAliveAfter, func() {
		stop() // once
		keepAlive(t.Client.Conn)
		keepAlive(t.Server.Conn)
	})
	return stop
}

func keepAlive(c *reactor.Conn) {
	_ = c.Control(func(fd int) error { // a unix socket knows no such thing
		for _, o := range [][3]int{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
		} {
			if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Abort resets both sides. It may be called by any code on the loop while Run runs.
func (t *Tunnel) Abort() { t.reset(Aborted) }

// watch resets the tunnel when it has been silent for too long, until stop is called.
//
// The silence is looked for from outside, not by a limit of each wait: what has been
// read and not yet written would be lost with a wait that ends early, and the silence
// of one side is forgiven while the other speaks.
func (t *Tunnel) watch(loop *reactor.Loop, most time.Duration) (stop func()) {
	// What was said before the first look counts as said then: most tunnels end before
	// it, and are spared the question.
	seen, moved := uint64(0), loop.Now()
	return loop.Every(max(most/4, 1), func() {
		now := loop.Now()
		if p := t.progress(); p != seen {
			seen, moved = p, now
			return
		}
		if now.Sub(moved) >= most {
			t.reset(Silent)
		}
	})
}

// halfClosed begins to watch for the end of the other half.
func (t *Tunnel) halfClosed() {
	shorter := t.Silence == 0 || t.HalfClosed < t.Silence
	if t.HalfClosed > 0 && shorter && t.stop == nil {
		t.stop = t.watch(t.Client.Loop(), t.HalfClosed)
	}
}

// progress returns what grows when a peer says something, or takes something of what
// was sent to it.
func (t *Tunnel) progress() (n uint64) {
	for _, c := range []*reactor.Conn{t.Client.Conn, t.Server.Conn} {
		if info := tcpInfo(c); info != nil {
			n += info.Bytes_received + info.Bytes_acked
		}
	}
	return n
}

// carry moves what src says to dst, until its end, and passes that end on.
func (t *Tunnel) carry(dst, src tlsconn.Stream, to, from *side) {
	loop := src.Loop()
	for {
		err := t.move(dst, src)
		op, of := errors.AsType[*net.OpError](err)
		if err != nil && !of {
			// Of neither side: there was no pipe. What is to be moved still waits.
			if loop.Sleep(pipeRest) == nil && !src.Closed() && !dst.Closed() {
				continue
			}
		}
		// Neither the end nor the error tells which side it was: one socket has one
		// pending error, which the other direction may have been given, leaving this
		// one with what looks like a clean end. The state of src tells: it is closed
		// after a reset, and otherwise only once both sides have sent their FIN.
		closed := isClosed(src.Conn)
		switch {
		case err == nil && (!closed || from.finished):
			to.finished = true
			t.halfClosed()
			if dst.CloseWrite() != nil {
				to.broken = true
			}
		case closed, !src.Plain() && of && op.Op == "read": // which TLS knows to be of src, and final
			t.reset(Broken)
		default:
			to.broken = true
		}
		return
	}
}

// isClosed reports whether the kernel is done with the connection.
func isClosed(c *reactor.Conn) bool {
	info := tcpInfo(c)
	return info == nil || info.State == unix.BPF_TCP_CLOSE
}

// tcpInfo returns what the kernel knows of a connection; nil when it is closed.
func tcpInfo(c *reactor.Conn) *unix.TCPInfo {
	info := new(unix.TCPInfo)
	err := c.Control(func(fd int) error {
		if errno := socket.Info(fd, info); errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return info
}

// unanswered reports whether a tunnel that breaks does so because the server will not
// have the client.
func (t *Tunnel) unanswered() bool {
	if isClosed(t.Client.Conn) {
		return false // he may have left first
	}
	if !t.Server.Plain() {
		return t.refused
	}
	info := tcpInfo(t.Server.Conn)
	return info != nil && info.State == unix.BPF_TCP_CLOSE && info.Bytes_received == 0
}

// reset resets both connections, which ends both directions.
func (t *Tunnel) reset(why End) {
	if t.end == Closed {
		if why == Broken && t.unanswered() {
			why = Unanswered
		}
		t.end = why
	}
	for _, c := range []*reactor.Conn{t.Client.Conn, t.Server.Conn} {
		if err := c.Abort(); err != nil && !errors.Is(err, net.ErrClosed) {
			panic("tunnel: " + err.Error()) // it has no other error
		}
	}
}
