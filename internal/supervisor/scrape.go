package supervisor

import (
	"context"
	"errors"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/metrics"
	"github.com/tandemlb/tandem/internal/usage"
)

// Counts returns what the node's processes count. Who asks while others do gets the same.
func (s *Supervisor) Counts(ctx context.Context) metrics.Counts {
	c := metrics.Counts{Processes: map[string]ipc.Process{"supervisor": ipc.Process(usage.Read())}}
	counts, fresh := s.worker.scraper.Scrape(ctx, s.worker.ask)
	if c.Fresh = fresh; counts != nil {
		c.Traffic = counts.Stats
		c.Processes["worker"] = counts.Process
	}
	if s.agent != nil {
		if a := s.agent.view(); a.state != nil {
			c.Delays = &a.state.Delays
			c.Processes["agent"] = a.state.Process
		}
	}
	return c
}

// ask asks the running worker for what it counts.
func (w *workerLink) ask(q ipc.Scrape) error {
	w.mu.Lock()
	conn := w.conn
	w.mu.Unlock()
	if conn == nil {
		return errors.New("the worker is not running")
	}
	return conn.Send(ipc.ToWorker{Scrape: &q})
}
