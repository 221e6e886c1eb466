package reactor

import (
	"sync"
	"sync/atomic"
)

// inbox is how other goroutines reach a loop: functions, run in the order in
// which they came.
type inbox struct {
	mu     sync.Mutex
	queue  []func()
	closed bool

	// asleep is set BEFORE the loop looks into the queue for the last time, and
	// looked at AFTER a function was put there. So either the loop sees the
	// function or its sender sees that it must wake the loop.
	asleep atomic.Bool
}

// put returns false when the inbox is closed. It wakes the loop with the lock
// held, so that what wakes it is not released meanwhile.
func (b *inbox) put(f func(), wake func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.queue = append(b.queue, f)
	if b.asleep.Load() && b.asleep.Swap(false) {
		wake()
	}
	return true
}

// take returns all functions, and leaves empty for those that follow.
func (b *inbox) take(empty []func()) []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return empty
	}
	full := b.queue
	b.queue = empty
	return full
}

func (b *inbox) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) == 0
}

// close closes an empty inbox. It returns false when something is in it.
func (b *inbox) close() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = len(b.queue) == 0
	return b.closed
}
