package timeline

import (
	"context"
	"math"
	"time"

	"go.uber.org/zap"
)

const (
	// retryEvery is how often a file that could not be used is tried again.
	retryEvery = 10 * time.Second
	// spareLines is how many lines beyond twice what is kept the file may have.
	spareLines = 1000
)

// Run keeps the events in the file, from which it first takes those of earlier
// processes, until ctx is done. Where that is not possible they are in memory alone:
// Err says why, and it is tried again.
func (s *Store) Run(ctx context.Context) {
	if s.o.Dir == "" {
		return
	}
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	var j *journal
	for {
		if j == nil {
			j = s.load()
		} else {
			s.keep(j)
		}
		wakeC := s.wakeC
		if s.Err() != nil {
			wakeC = nil // at most one try each retryEvery
		}
		select {
		case <-wakeC:
			continue
		case <-retry.C:
			continue
		case <-ctx.Done():
		}
		break
	}
	if j != nil {
		s.keep(j)
		if err := j.close(); err != nil {
			s.o.Log.Warn("timeline", zap.Error(err))
		}
	}
}

// load opens the file and takes in what it holds; nil: it cannot.
func (s *Store) load() *journal {
	j, events, err := openJournal(s.o.path())
	s.mu.Lock()
	for _, e := range events {
		s.log.Add(e)
	}
	if s.talk.restore(events) {
		s.seq = 0
	}
	s.ready = true
	s.mu.Unlock()
	if err == nil {
		s.keep(j)
	} else {
		s.kept(err)
	}
	if s.o.Changed != nil {
		s.o.Changed()
	}
	return j
}

// keep writes what is not in the file yet.
func (s *Store) keep(j *journal) {
	s.mu.Lock()
	fresh, all := s.unkept, []Event(nil)
	if s.lost || j.dirty || j.lines > 2*s.log.Len()+spareLines {
		all = s.log.Merged(time.Time{}, math.MaxInt)
	}
	s.unkept, s.lost = nil, false
	s.mu.Unlock()
	var err error
	switch {
	case all != nil:
		err = j.rewrite(all)
	case len(fresh) > 0:
		err = j.append(fresh)
	}
	if err != nil {
		j.dirty = true
	}
	s.kept(err)
}

// kept takes note of whether the events are in the file, and logs what is new of that.
func (s *Store) kept(err error) {
	s.mu.Lock()
	before := s.err
	s.err = err
	s.mu.Unlock()
	if err != nil && (before == nil || before.Error() != err.Error()) {
		s.o.Log.Warn("the timeline is in memory alone: it does not survive this process", zap.Error(err))
	}
}
