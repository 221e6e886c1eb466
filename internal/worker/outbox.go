package worker

import (
	"sync"

	"github.com/tandemlb/tandem/internal/ipc"
)

// outbox keeps what is to be sent, so that a supervisor that does not read holds
// up nobody. Of states only the newest is kept.
type outbox struct {
	mu     sync.Mutex
	queue  []ipc.FromWorker
	closed bool
	wake   chan struct{} // holds the news that there is something to do
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// put queues m.
func (o *outbox) put(m ipc.FromWorker) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.State != nil {
		for i := range o.queue {
			if o.queue[i].State != nil {
				o.queue[i] = m
				return
			}
		}
	}
	o.queue = append(o.queue, m)
	o.signal()
}

// close makes run return.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take removes and returns what is queued. It reports false after close.
func (o *outbox) take() ([]ipc.FromWorker, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queue
	o.queue = nil
	return q, !o.closed
}

// run sends what is put until close, or until nobody is there to receive it; then
// the loop learns so from Receive.
func (o *outbox) run(conn *Conn) {
	for range o.wake {
		messages, ok := o.take()
		if !ok {
			return
		}
		for _, m := range messages {
			if conn.Send(m) != nil {
				return
			}
		}
	}
}
