package reactor

import (
	"iter"
	"runtime/debug"
	"time"
)

const (
	// runBudget is how many bytes a coroutine moves before others of its loop
	// have their turn. An operation counts as opCost at least.
	runBudget = 256 << 10
	opCost    = 4 << 10

	// idleCoroutines are kept by a loop for the next connection. One with a used
	// stack is 8 KB and more.
	idleCoroutines = 1024
)

// coroutine runs one piece of work after another, on the stack of its own and in
// the time of its loop.
type coroutine struct {
	loop  *Loop
	next  func() (struct{}, bool) // runs it until it yields
	stop  func()                  // ends it; only while it has no work
	yield func(struct{}) bool

	// Its work: the connection to serve, or else the task.
	conn *Conn
	task *Task

	queued bool  // in the run queue
	timer  timer // of Sleep
}

func (l *Loop) newCoroutine() *coroutine {
	co := &coroutine{loop: l}
	co.timer.Owner = co
	co.next, co.stop = iter.Pull(co.body)
	return co
}

// worker returns a coroutine without work, the one that worked last: its stack is
// in the cache.
func (l *Loop) worker() *coroutine {
	l.busy++
	if n := len(l.idle); n > 0 {
		co := l.idle[n-1]
		l.idle[n-1] = nil
		l.idle = l.idle[:n-1]
		return co
	}
	return l.newCoroutine()
}

func (co *coroutine) body(yield func(struct{}) bool) {
	co.yield = yield
	for {
		co.work()
		co.loop.busy--
		if len(co.loop.idle) >= idleCoroutines {
			return
		}
		co.loop.idle = append(co.loop.idle, co)
		if !yield(struct{}{}) {
			return
		}
	}
}

func (co *coroutine) work() {
	c, t := co.conn, co.task
	co.conn, co.task = nil, nil
	finished := false
	defer func() {
		if finished {
			return
		}
		v := recover()
		co.loop.panicked(v)
		if c != nil {
			c.end(ErrPanicked)
		} else {
			t.end(ErrPanicked)
		}
		if v == nil {
			// Goexit: the coroutine dies, and iter.Pull takes the goroutine of
			// the loop with it. Run starts another one.
			co.loop.busy--
		}
	}()
	if c != nil {
		c.serve()
	} else {
		t.f()
		t.end(nil)
	}
	finished = true
}

// panicked reports what recover returned. nil is the trace of runtime.Goexit.
func (l *Loop) panicked(v any) {
	l.reactor.panics.Add(1)
	if v == nil {
		v = "runtime.Goexit called on a loop"
	}
	if hook := l.reactor.options.Panicked; hook != nil {
		hook(v, debug.Stack())
	}
}

// current returns the coroutine that calls op.
func (l *Loop) current(op string) *coroutine {
	if l.running == nil {
		panic("reactor: " + op + " may wait, and was called outside a coroutine of its loop")
	}
	return l.running
}

// park waits until the coroutine is woken. That may be for another reason than
// the caller's: it looks again.
func (co *coroutine) park() {
	co.yield(struct{}{})
}

// wake puts a parked coroutine into the run queue.
func (co *coroutine) wake() {
	if co != nil && !co.queued {
		co.queued = true
		co.loop.ready.push(runnable{coroutine: co})
	}
}

// turn lets others run when the coroutine has used up its share.
func (co *coroutine) turn() {
	if co.loop.budget <= 0 {
		co.wake()
		co.park()
	}
}

// Turn lets others of the loop have their turn, if the coroutine has used up its share.
// What reads or writes does so by itself: it is for what is made of TryRead and TryWrite.
func (l *Loop) Turn() { l.current("Turn").turn() }

// spend charges an operation that moved n bytes.
func (l *Loop) spend(n int) { l.budget -= max(n, opCost) }

func (co *coroutine) expire(int64) int64 {
	co.wake()
	return 0
}

// Sleep waits for d, rounded up to the next tick of the loop's timers (8.4 ms).
// It counts from the beginning of the present turn, see [Loop.Now]. The error is
// net.ErrClosed when the loop ends first.
func (l *Loop) Sleep(d time.Duration) error {
	co := l.current("Sleep")
	for until := l.now + int64(d); l.now < until; {
		if err := l.closedError(); err != nil {
			return err
		}
		l.timers.Set(&co.timer, tickAfter(until))
		co.park()
		l.timers.Remove(&co.timer)
	}
	return l.closedError()
}

// every is a function that is called again and again.
type every struct {
	loop   *Loop
	period int64 // 0: no more
	f      func()
	timer  timer
}

// Every calls f each time that d has passed, up to a tick (8.4 ms) late, until stop
// is called or the loop ends. f runs outside a coroutine: it must not wait. Both may
// be called by any code that runs on the loop.
func (l *Loop) Every(d time.Duration, f func()) (stop func()) {
	e := &every{loop: l, period: int64(max(d, 1<<tickShift)), f: f}
	e.timer.Owner = e
	l.timers.Set(&e.timer, tickAfter(l.now+e.period))
	return func() {
		e.period = 0
		l.timers.Remove(&e.timer)
	}
}

func (e *every) expire(now int64) int64 {
	e.loop.protect(e.f)
	if e.period == 0 || e.loop.closing {
		return 0
	}
	return now + e.period
}

// Task is a function that runs on a coroutine of its own.
type Task struct {
	loop    *Loop
	f       func()
	done    bool
	err     error
	waiters []*coroutine
}

// Go runs f on another coroutine of the loop, from the next turn on. Unlike
// Sleep and the like it may be called by any code that runs on the loop.
func (l *Loop) Go(f func()) *Task {
	t := &Task{loop: l, f: f}
	l.ready.push(runnable{task: t})
	return t
}

// Wait waits for the end of the task. The error is ErrPanicked when it panicked.
func (t *Task) Wait() error {
	co := t.loop.current("Wait")
	if !t.done {
		t.waiters = append(t.waiters, co)
	}
	for !t.done {
		co.park()
	}
	return t.err
}

func (t *Task) end(err error) {
	t.done, t.err, t.f = true, err, nil
	for _, co := range t.waiters {
		co.wake()
	}
	t.waiters = nil
}

// Await runs f on an ordinary goroutine and waits for it; the loop goes on
// meanwhile. It is for what may block. A panic of f continues in the caller.
func (l *Loop) Await(f func()) {
	co := l.current("Await")
	a := &await{}
	l.awaits.Go(func() {
		defer func() {
			if !a.finished {
				if a.panicked = recover(); a.panicked == nil {
					a.panicked = "runtime.Goexit called in Await"
				}
			}
			// The loop takes posts until its last coroutine has ended.
			if err := l.Post(func() {
				a.done = true
				co.wake()
			}); err != nil {
				panic("reactor: the loop ended before a function that it awaits")
			}
		}()
		f()
		a.finished = true
	})
	for !a.done {
		co.park()
	}
	if !a.finished {
		panic(a.panicked)
	}
}

type await struct {
	finished bool // f has returned
	panicked any
	done     bool // as the loop knows
}
