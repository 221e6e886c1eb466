package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// maxLine bounds a batch: what a prober can have in flight, and some.
const maxLine = 1 << 20

// AppendHeader appends the line that precedes the batches: the wall clock at
// the prober's beginning, in microseconds.
func AppendHeader(line []byte, began time.Time) []byte {
	return append(strconv.AppendInt(line, began.UnixMicro(), 10), '\n')
}

// ParseHeader reads a line that AppendHeader wrote, without its line feed.
func ParseHeader(line []byte) (time.Time, error) {
	us, err := strconv.ParseUint(string(line), 10, 53)
	if err != nil {
		return time.Time{}, fmt.Errorf("parse the prober's beginning: %w", err)
	}
	return time.UnixMicro(int64(us)), nil
}

// A Recorder keeps what a prober reports. Its methods may be called by several
// goroutines at once.
type Recorder struct {
	mu      sync.Mutex
	began   time.Time
	settled time.Duration
	samples []Sample
	totals  Totals
	changed chan struct{} // closed, and replaced, when something arrives
	ended   error         // why Record returned
}

// Totals counts all requests that were reported.
type Totals struct{ Requests, Failed int }

// NewRecorder returns an empty recorder.
func NewRecorder() *Recorder { return &Recorder{changed: make(chan struct{})} }

// Record reads a prober's output until its end, for which the error is nil.
func (r *Recorder) Record(in io.Reader) error {
	err := r.read(in)
	r.update(func() {
		r.ended = err
		if err == nil {
			r.ended = io.EOF
		}
	})
	return err
}

func (r *Recorder) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	if !lines.Scan() {
		return lines.Err()
	}
	began, err := ParseHeader(lines.Bytes())
	if err != nil {
		return err
	}
	r.update(func() { r.began = began })
	for lines.Scan() {
		batch, err := ParseBatch(lines.Bytes())
		if err != nil {
			return err
		}
		r.update(func() { r.add(batch) })
	}
	return lines.Err()
}

func (r *Recorder) add(b Batch) {
	r.settled = b.Settled
	r.samples = append(r.samples, b.Samples...)
	r.totals.Requests += len(b.Samples)
	for _, s := range b.Samples {
		if s.Failure != "" {
			r.totals.Failed++
		}
	}
}

func (r *Recorder) update(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

// Totals returns the counts so far.
func (r *Recorder) Totals() Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.totals
}

// Began returns when the prober began; zero before it has.
func (r *Recorder) Began() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.began
}

// Samples returns a copy of all samples so far, by their start.
func (r *Recorder) Samples() []Sample {
	r.mu.Lock()
	samples := append([]Sample(nil), r.samples...)
	r.mu.Unlock()
	Sort(samples)
	return samples
}

// WaitSettled waits until every request sent before t has been reported.
func (r *Recorder) WaitSettled(ctx context.Context, t time.Time) error {
	for {
		r.mu.Lock()
		settled, ended, changed := r.began.Add(r.settled), r.ended, r.changed
		r.mu.Unlock()
		if !settled.Before(t) {
			return nil
		}
		if ended != nil {
			return fmt.Errorf("the prober has ended: %w", ended)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(errors.New("wait for the prober"), context.Cause(ctx))
		}
	}
}

// Window sums up the requests sent in [from, to); see Measure.
func (r *Recorder) Window(from, to time.Time) Window {
	began := r.Began()
	return Measure(r.Samples(), from.Sub(began), to.Sub(began))
}
