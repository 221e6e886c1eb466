package upstream

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// queue holds those who wait for a place at a server, the longest first. Multiple
// goroutines may use it at the same time.
type queue struct {
	waiting atomic.Int64 // length of list, to be asked without the mutex

	mu   sync.Mutex
	list list.List // of *Waiting

	queued, refused, left atomic.Uint64
}

// Waiting is somebody's place in the queue of a pool. It belongs to one goroutine, that
// calls Again or Leave after each wake, until it has a server or gives up.
type Waiting struct {
	queue *queue
	wake  func()
	at    *list.Element // nil once woken
	done  bool
}

// join appends to the queue unless it holds most already.
func (q *queue) join(most int, wake func()) (*Waiting, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.list.Len() >= most {
		q.refused.Add(1)
		return nil, false
	}
	w := &Waiting{queue: q, wake: wake}
	w.at = q.list.PushBack(w)
	q.waiting.Store(int64(q.list.Len()))
	q.queued.Add(1)
	return w, true
}

// wakeFirst tells the first that a place may be free.
func (q *queue) wakeFirst() {
	if q.waiting.Load() == 0 {
		return
	}
	q.mu.Lock()
	e := q.list.Front()
	if e == nil {
		q.mu.Unlock()
		return
	}
	w := e.Value.(*Waiting)
	q.take(w)
	q.mu.Unlock()
	w.wake()
}

// take takes w out; the caller holds the mutex.
func (q *queue) take(w *Waiting) {
	q.list.Remove(w.at)
	w.at = nil
	q.waiting.Store(int64(q.list.Len()))
}

// Again goes back to the head of the queue: there was no place after all.
func (w *Waiting) Again() {
	q := w.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.at == nil {
		w.at = q.list.PushFront(w)
		q.waiting.Store(int64(q.list.Len()))
	}
}

// Done ends the waiting of one who was woken and has a server now.
func (w *Waiting) Done() { w.leave(false) }

// Leave ends the waiting of one who gives up. A wake that has come meanwhile passes on
// to the next.
func (w *Waiting) Leave() { w.leave(true) }

func (w *Waiting) leave(without bool) {
	if w.done {
		return
	}
	w.done = true
	q := w.queue
	q.mu.Lock()
	woken := w.at == nil
	if !woken {
		q.take(w)
	}
	q.mu.Unlock()
	if without {
		q.left.Add(1)
		if woken {
			q.wakeFirst()
		}
	}
}
