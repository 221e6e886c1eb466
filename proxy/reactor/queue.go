package reactor

// runnable is what the loop runs next, one of the four.
type runnable struct {
	coroutine *coroutine // to resume
	task      *Task      // to start
	conn      *Conn      // to look at, for its handler or its pool
	watch     *watch     // whose function to call
}

// queue is a ring of what to run, first in, first out.
type queue struct {
	ring []runnable // its length is a power of two
	head int
	n    int
}

func (q *queue) push(r runnable) {
	if q.n == len(q.ring) {
		larger := make([]runnable, max(64, 2*len(q.ring)))
		for i := range q.n {
			larger[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = larger, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = r
	q.n++
}

// pop takes the first one; there is one.
func (q *queue) pop() runnable {
	r := q.ring[q.head]
	q.ring[q.head] = runnable{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return r
}
