package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
)

// scrapeTimeout is how long the worker has to say what it counts. Who waits for it wants
// to know something of a node that is in trouble, too.
const scrapeTimeout = 500 * time.Millisecond

// Scraper asks the worker for what it counts: once for all who want to know it at the
// same time. Multiple goroutines may use it. The zero value is one that nobody has
// answered yet.
type Scraper struct {
	mu     sync.Mutex
	seq    uint64
	asked  chan struct{} // closed when no answer to seq is to be waited for any more; nil: it is not asked
	newest *ipc.Counts   // of the running worker; nil: there is none
}

// Scrape has ask send the question, unless it is on its way, and returns the answer, or
// what is known of before. ask fails when there is nobody to ask.
func (s *Scraper) Scrape(ctx context.Context, ask func(ipc.Scrape) error) (newest *ipc.Counts, fresh bool) {
	s.mu.Lock()
	over, first := s.asked, s.asked == nil
	if first {
		s.seq++
		over = make(chan struct{})
		s.asked = over
	}
	question := ipc.Scrape{Seq: s.seq}
	s.mu.Unlock()
	if first {
		if err := ask(question); err != nil {
			s.mu.Lock()
			s.end(question.Seq)
			s.mu.Unlock()
		}
	}
	late := time.NewTimer(scrapeTimeout)
	defer late.Stop()
	select {
	case <-over:
	case <-late.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest, s.newest != nil && s.newest.Seq >= question.Seq
}

// Answered takes an answer. One that cannot be is worth as much as none: what is known of
// before stays.
func (s *Scraper) Answered(c *ipc.Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Seq != s.seq {
		return // it is of a worker before
	}
	if c.Stats.Valid() {
		s.newest = c
	}
	s.end(c.Seq)
}

// Forget is called when the worker has ended: nobody is going to answer, and what it has
// counted is no more.
func (s *Scraper) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = nil
	s.end(s.seq)
}

// end ends the wait for the answer to a question. The caller holds mu.
func (s *Scraper) end(seq uint64) {
	if s.asked != nil && s.seq == seq {
		close(s.asked)
		s.asked = nil
	}
}
