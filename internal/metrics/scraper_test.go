package metrics

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy/stats"
)

func TestScrapesAtOneTimeAreOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Scraper
		questions := make(chan ipc.Scrape, 10)
		var all sync.WaitGroup
		for range cap(questions) {
			all.Go(func() {
				got, fresh := s.Scrape(t.Context(), func(q ipc.Scrape) error { questions <- q; return nil })
				if !fresh || got.Process.Goroutines != 7 {
					t.Errorf("got %+v, fresh %t", got, fresh)
				}
			})
		}
		synctest.Wait()
		s.Answered(&ipc.Counts{Seq: 99}) // nobody has asked that
		synctest.Wait()
		s.Answered(&ipc.Counts{Seq: (<-questions).Seq, Process: ipc.Process{Goroutines: 7}})
		all.Wait()
		if n := len(questions); n > 0 {
			t.Errorf("%d more questions", n)
		}
	})
}

func TestNobodyWaitsForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Scraper
		silent := func(ipc.Scrape) error { return nil }
		began := time.Now()
		if got, fresh := s.Scrape(t.Context(), silent); fresh || got != nil || time.Since(began) != scrapeTimeout {
			t.Errorf("a worker that says nothing: %+v, fresh %t, after %v", got, fresh, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		if _, fresh := s.Scrape(ctx, silent); fresh || time.Since(began) != 0 {
			t.Errorf("one who has left: fresh %t, after %v", fresh, time.Since(began))
		}
		// The answer comes late, and is there for the next one.
		s.Answered(&ipc.Counts{Seq: 1})
		if got, fresh := s.Scrape(t.Context(), silent); fresh || got == nil || got.Seq != 1 {
			t.Errorf("after an answer that came late: %+v, fresh %t", got, fresh)
		}
		// Nor does one that cannot be asked, or says what cannot be, lose what it has counted.
		if got, fresh := s.Scrape(t.Context(), func(ipc.Scrape) error { return errors.New("it is busy") }); fresh || got == nil || got.Seq != 1 {
			t.Errorf("of a worker that could not be asked: %+v, fresh %t", got, fresh)
		}
		impossible := stats.PageCounts{Queue: stats.Distribution{From: 1 << 40, Counts: []uint64{1}}}
		if got, fresh := s.Scrape(t.Context(), func(q ipc.Scrape) error {
			go s.Answered(&ipc.Counts{Seq: q.Seq, Stats: stats.Snapshot{Pages: []stats.PageCounts{impossible}}})
			return nil
		}); fresh || got == nil || got.Seq != 1 {
			t.Errorf("of an answer that cannot be: %+v, fresh %t", got, fresh)
		}
		s.Forget()
		began = time.Now()
		if got, fresh := s.Scrape(t.Context(), func(ipc.Scrape) error { return errors.New("there is none") }); fresh || got != nil || time.Since(began) != 0 {
			t.Errorf("without a worker: %+v, fresh %t, after %v", got, fresh, time.Since(began))
		}
	})
}

func TestEndOfTheWorkerEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Scraper
		began := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			if got, fresh := s.Scrape(t.Context(), func(ipc.Scrape) error { return nil }); fresh || got != nil || time.Since(began) != 0 {
				t.Errorf("got %+v, fresh %t, after %v", got, fresh, time.Since(began))
			}
		})
		synctest.Wait()
		s.Forget()
		all.Wait()
	})
}
