// Package inbox hands functions from any goroutine to one that may be asleep.
package inbox

import (
	"sync"
	"sync/atomic"
)

// Inbox is how other goroutines reach a loop: functions, run in the order in which
// they came. The zero value is empty and open.
type Inbox struct {
	mu     sync.Mutex
	queue  []func()
	closed bool

	// Asleep is set BEFORE the loop looks into the queue for the last time, and
	// looked at AFTER a function was put there. So either the loop sees the
	// function or its sender sees that it must wake the loop.
	Asleep atomic.Bool
}

// Put returns false when the inbox is closed. It wakes the loop with the lock
// held, so that what wakes it is not released meanwhile.
func (b *Inbox) Put(f func(), wake func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.queue = append(b.queue, f)
	if b.Asleep.Load() && b.Asleep.Swap(false) {
		wake()
	}
	return true
}

// Take returns all functions, and leaves empty for those that follow.
func (b *Inbox) Take(empty []func()) []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return empty
	}
	full := b.queue
	b.queue = empty
	return full
}

// Empty reports whether nothing is in it.
func (b *Inbox) Empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) == 0
}

// Close closes an empty inbox. It returns false when something is in it.
func (b *Inbox) Close() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = len(b.queue) == 0
	return b.closed
}
