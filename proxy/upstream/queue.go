package upstream

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

// queue holds those who wait for a place at a server, the longest first. Multiple
// goroutines may use it at the same time.
//
// When something happens that may be of use, the first is woken who would not be told
// to wait. He is out of the list until he has picked, and still waits: nobody who comes
// then goes before him. What happens meanwhile he might miss, so that it is counted,
// and he picks again. Who finds no place wakes nobody: a wake comes to an end.
type queue struct {
	waiting atomic.Int64 // in the list or woken, to be asked without the mutex

	// turn is held by one who was woken while he picks: what he takes for a moment
	// would look to another as if it was taken. It comes before mu.
	turn sync.Mutex

	mu      sync.Mutex
	list    list.List // of *Waiting, by number
	choosy  int       // of them
	numbers uint64
	events  uint64 // while somebody waited

	queued, refused, left atomic.Uint64
}

// Waiting is somebody's place in the queue of a pool. It belongs to one goroutine, that
// calls [Pool.PickWaiting] after each wake, until that says something else than [Full],
// or Leave.
type Waiting struct {
	pool   *Pool
	ask    Ask // as he was told to wait
	choosy bool
	wake   func()
	number uint64        // of those before it, lower ones
	at     *list.Element // nil while it is out of the list
	done   bool
}

// join appends w to the queue unless most wait already.
func (q *queue) join(w *Waiting, most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.Load() >= int64(most) {
		q.refused.Add(1)
		return false
	}
	q.numbers++
	w.number = q.numbers
	q.put(w)
	q.queued.Add(1)
	q.waiting.Add(1)
	return true
}

// put puts w into the list, at its place; the caller holds mu.
func (q *queue) put(w *Waiting) {
	if w.choosy {
		q.choosy++
	}
	if last := q.list.Back(); last == nil || last.Value.(*Waiting).number < w.number {
		w.at = q.list.PushBack(w)
		return
	}
	e := q.list.Front()
	for e.Value.(*Waiting).number < w.number {
		e = e.Next()
	}
	w.at = q.list.InsertBefore(w, e)
}

// take takes w out of the list, if it is there; the caller holds mu.
func (q *queue) take(w *Waiting) {
	if w.at == nil {
		return
	}
	if w.choosy {
		q.choosy--
	}
	q.list.Remove(w.at)
	w.at = nil
}

// begin takes w out of the list, if nobody has, and returns the number of events.
func (q *queue) begin(w *Waiting) (events uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.take(w)
	return q.events
}

// again puts w back where it was, unless there were events since begin.
func (q *queue) again(w *Waiting, events uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.events != events {
		return false
	}
	q.put(w)
	return true
}

// end takes w out for good, and reports whether it was woken.
func (q *queue) end(w *Waiting) (woken bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	woken = w.at == nil
	q.take(w)
	w.done = true
	q.waiting.Add(-1)
	return woken
}

// wakeNext wakes the first whom the pool would not tell to wait.
func (p *Pool) wakeNext(now int64) {
	q := &p.shared.queue
	if q.waiting.Load() == 0 {
		return
	}
	p = p.Current()
	q.mu.Lock()
	q.events++
	w := q.next(p, now)
	if w != nil {
		q.take(w)
	}
	q.mu.Unlock()
	if w != nil {
		w.wake()
	}
}

// next returns the first whom p would not tell to wait, or nil; the caller holds mu.
func (q *queue) next(p *Pool, now int64) *Waiting {
	anybody := Ask{}
	known, all := false, Picked // the answer to all who are not choosy
	for e := q.list.Front(); e != nil; e = e.Next() {
		w := e.Value.(*Waiting)
		switch {
		case w.choosy:
			if p.would(&w.ask, now) != Full {
				return w
			}
			continue
		case !known:
			known, all = true, p.would(&anybody, now)
		}
		if all != Full {
			return w
		}
		if q.choosy == 0 {
			return nil
		}
	}
	return nil
}

// would returns what pick would, without taking a place.
func (p *Pool) would(a *Ask, now int64) Refusal {
	a.begin(p, now)
	if b := p.shared.breaker.Load(); b.on() && !b.allows(now) {
		return BreakerOpen
	}
	if most := p.spec.Limits.Connections; most > 0 && p.shared.active.Load() >= int64(most) {
		return Full
	}
	if s := a.Sticky; s != nil && a.usable(s, true) {
		return Picked
	}
	sticky := a.full
	a.full = false
	for i := range p.tiers {
		a.tier = &p.tiers[i]
		for n := range a.tier.servers {
			if (*candidates)(a).Usable(n) {
				return Picked
			}
		}
		if a.full {
			return Full
		}
	}
	a.full = sticky
	return a.refusal()
}

// Enqueue lets somebody wait for a place whose a was told [Full]: wake is called, from
// any goroutine, when one may be free, and then he asks PickWaiting. It reports false
// when the queue is full. What a.Tried holds must not change as long as he waits.
func (p *Pool) Enqueue(a *Ask, wake func()) (*Waiting, bool) {
	w := &Waiting{pool: p, ask: *a, choosy: len(a.Tried) > 0 || a.Sticky != nil, wake: wake}
	ok := p.shared.queue.join(w, p.spec.Limits.Queue)
	p.Look(a.Now) // what was freed since he was told; and who is in a full queue may wait without need
	if !ok {
		return nil, false
	}
	return w, true
}

// PickWaiting is Pick for one who waits and was woken. [Full] means that he waits on,
// where he was; with any other answer his waiting is over.
func (p *Pool) PickWaiting(w *Waiting, a *Ask) (*Server, Refusal) {
	s, why := p.pickInTurn(w, a)
	if why != Full {
		p.wakeNext(a.now) // what was of use to one may be so to others
	}
	return s, why
}

func (p *Pool) pickInTurn(w *Waiting, a *Ask) (*Server, Refusal) {
	q := &p.shared.queue
	q.turn.Lock()
	defer q.turn.Unlock()
	for {
		events := q.begin(w)
		s, why := p.pick(a)
		if why != Full {
			q.end(w)
			return s, why
		}
		if q.again(w, events) {
			return nil, Full
		}
	}
}

// Look wakes the first who waits without need. That an ejection ends, or the time of an
// open breaker, is told to nobody: who waits looks now and then.
func (p *Pool) Look(now time.Time) { p.wakeNext(since(p.shared.epoch, now)) }

// Leave ends the waiting of one who gives up, unless it has ended. A wake that has come
// meanwhile passes on to the next.
func (w *Waiting) Leave(now time.Time) {
	if w.done {
		return
	}
	q := &w.pool.shared.queue
	woken := q.end(w)
	q.left.Add(1)
	if woken {
		w.pool.Look(now)
	}
}
