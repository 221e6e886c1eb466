package telemetry

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// maxWaiting bounds the lines that wait to be written.
	maxWaiting = 1024
	// flushTimeout bounds how long Close waits for a reader that does not read.
	flushTimeout = time.Second
)

// writer passes lines on in the background: a log whose reader is stuck (a full
// disk, a service manager that hangs) must not stop the process that logs. What
// cannot wait any longer is dropped, and counted in a line of its own.
type writer struct {
	out   io.Writer
	who   string // members of a line that tell of this process
	lines chan []byte
	done  chan struct{} // closed when all has been written

	mu      sync.Mutex
	closed  bool
	dropped int
}

func newWriter(out io.Writer, process string) *writer {
	w := &writer{out: out, who: fmt.Sprintf(`"process":%s,"pid":%d`, quoted(process), os.Getpid()), lines: make(chan []byte, maxWaiting), done: make(chan struct{})}
	go w.run()
	return w
}

func (w *writer) run() {
	defer close(w.done)
	for line := range w.lines {
		// There is nowhere to report an error of the log to.
		_, _ = w.out.Write(shorten(line, atomicWrite))
		if n := w.takeDropped(); n > 0 {
			_, _ = fmt.Fprintf(w.out, `{"level":"warn","time":"%s","msg":"log lines dropped: the log is not read fast enough",%s,"count":%d}`+"\n",
				time.Now().UTC().Format(timeFormat), w.who, n)
		}
	}
}

func (w *writer) takeDropped() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.dropped
	w.dropped = 0
	return n
}

// Write queues one line. It never blocks and never fails.
func (w *writer) Write(line []byte) (int, error) {
	own := append([]byte(nil), line...) // the caller uses its memory again
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return len(line), nil
	}
	select {
	case w.lines <- own:
	default:
		w.dropped++
	}
	return len(line), nil
}

// close writes what is queued, for a bounded time.
func (w *writer) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.lines)
	}
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(flushTimeout):
	}
}
