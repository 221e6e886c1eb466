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
	present atomic.Int64 // those of list, and those woken of whom nothing is heard yet

	mu     sync.Mutex
	list   list.List // of *Waiting
	missed int       // wakes that came while all who are present were woken already

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
	q.present.Add(1)
	q.queued.Add(1)
	return w, true
}

// wakeFirst tells the first that a place may be free.
func (q *queue) wakeFirst() {
	if q.present.Load() == 0 {
		return
	}
	q.mu.Lock()
	e := q.list.Front()
	if e == nil {
		// One who was woken may have found no place just before this one was freed,
		// and be on his way back.
		q.missed = min(q.missed+1, int(q.present.Load()))
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

// Again goes back to the head of the queue: there was no place after all. He is woken at
// once if one was freed since he was woken, and nobody else was there to be told.
func (w *Waiting) Again() {
	q := w.queue
	q.mu.Lock()
	if w.at == nil && q.missed > 0 {
		q.missed-- // each of them wakes once, so that this cannot go on for ever
		q.mu.Unlock()
		w.wake()
		return
	}
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
	q.present.Add(-1)
	pass := q.missed > 0 && q.list.Len() > 0 // to one who came since
	if q.present.Load() == 0 {
		q.missed = 0
	} else if pass {
		q.missed--
	}
	q.mu.Unlock()
	if without {
		q.left.Add(1)
	}
	if pass || without && woken {
		q.wakeFirst()
	}
}
