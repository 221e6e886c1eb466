package reactor

import (
	"net"
	"time"

	"github.com/tandemlb/tandem/proxy/reactor/wheel"
)

// tickShift makes a tick of the timers 2^23 ns, which are 8.4 ms.
const tickShift = 23

// tickAfter returns the first tick that begins at or after ns, so that nothing
// expires early.
func tickAfter(ns int64) int64 { return (ns + 1<<tickShift - 1) >> tickShift }

// tickAt returns the tick that has begun at ns.
func tickAt(ns int64) int64 { return ns >> tickShift }

// timer belongs to a connection, a coroutine or a listener.
type timer = wheel.Timer[expirer]

// expirer has a timer.
type expirer interface {
	// expire acts on what is due at now, and returns when it is to be called
	// again, later than now; 0 means never. Both are nanoseconds of the loop's
	// clock.
	expire(now int64) (again int64)
}

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets when reads end with os.ErrDeadlineExceeded, and a parked
// or idle connection ends; the zero time means never. A deadline takes effect up
// to a tick (8.4 ms) late, never early. Setting it is one store.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.flags&closed != 0 {
		return net.ErrClosed
	}
	c.readBy = c.loop.deadline(t)
	if c.readWaited() {
		c.arm(c.readBy)
	}
	return nil
}

// SetWriteDeadline is SetReadDeadline for writes.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.flags&closed != 0 {
		return net.ErrClosed
	}
	c.writeBy = c.loop.deadline(t)
	if c.writer != nil {
		c.arm(c.writeBy)
	}
	return nil
}

// deadline returns t on the clock of the loop, and 0 for the zero time.
func (l *Loop) deadline(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, int64(t.Sub(l.base)))
}

// readWaited reports whether somebody waits for the read deadline.
func (c *Conn) readWaited() bool {
	return c.reader != nil || c.gone != nil || c.flags&parked != 0
}

// arm makes sure that the timer expires at by or before. A timer that is set
// already mostly does: it is moved when it expires, not with every wait.
func (c *Conn) arm(by int64) {
	if by == 0 {
		return
	}
	if tick := tickAfter(by); c.timer.At() == 0 || c.timer.At() > tick {
		c.loop.timers.Set(&c.timer, tick)
	}
}

// expire ends the waits whose deadline has passed, and returns the deadline of
// those that have not.
func (c *Conn) expire(now int64) (again int64) {
	if by := earlier(c.readBy, c.reads.until); by != 0 && c.readWaited() {
		if by > now {
			again = by
		} else if c.reader != nil {
			c.reader.wake()
		} else {
			c.enqueue()
		}
	}
	if by := earlier(c.writeBy, c.writes.until); by != 0 && c.writer != nil {
		if by <= now {
			c.writer.wake()
		} else if again == 0 || by < again {
			again = by
		}
	}
	return again
}
