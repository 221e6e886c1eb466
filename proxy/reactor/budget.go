package reactor

import (
	"math"
	"time"
)

// Unlimited is a budget that never runs out.
const Unlimited = time.Duration(math.MaxInt64)

// budget is how long one side of a connection may still be waited for, over all its
// waits. Unlike a deadline it does not run while the code waits for something else.
// The zero value has no limit.
type budget struct {
	left   int64 // in ns; 0: no limit; below: used up
	until  int64 // when it will be used up by the present wait; 0: no wait, or no limit
	began  int64 // the present wait
	waited int64 // in all waits so far
}

func (b *budget) set(d time.Duration) {
	switch {
	case d == Unlimited:
		b.left = 0
	case d <= 0:
		b.left = -1
	default:
		b.left = int64(d)
	}
}

// begin begins a wait, unless the budget is used up.
func (b *budget) begin(now int64) bool {
	if b.left < 0 {
		return false
	}
	b.began = now
	if b.left > 0 && now < math.MaxInt64-b.left {
		b.until = now + b.left
	}
	return true
}

// end ends a wait, and reports whether anything is left.
func (b *budget) end(now int64) bool {
	took := now - b.began
	b.waited += took
	b.until = 0
	if b.left == 0 {
		return true
	}
	if b.left -= took; b.left <= 0 {
		b.left = -1
	}
	return b.left > 0
}

// earlier returns the earlier of two deadlines, of which 0 is none.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// SetReadBudget sets how long reads may wait from now on, taken together: the read
// that has to wait longer ends with os.ErrDeadlineExceeded, and every one after it
// that has to wait at all. The time in which the code does not wait for this
// connection costs nothing, so that a peer is not blamed for what others take.
// [Unlimited] is the default. It takes effect with the next wait, and up to a tick
// (8.4 ms) late.
func (c *Conn) SetReadBudget(d time.Duration) { c.reads.set(d) }

// SetWriteBudget is SetReadBudget for writes.
func (c *Conn) SetWriteBudget(d time.Duration) { c.writes.set(d) }

// ReadWaited returns how long reads have waited since the connection was made.
func (c *Conn) ReadWaited() time.Duration { return time.Duration(c.reads.waited) }

// WriteWaited is ReadWaited for writes.
func (c *Conn) WriteWaited() time.Duration { return time.Duration(c.writes.waited) }
