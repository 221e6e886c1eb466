package supervisor

import (
	"crypto/rand"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/tickets"
)

// sharesTickets reports whether the keys of session tickets are told the peer: where
// the talk is not encrypted everybody could read them.
func (l *loaded) sharesTickets() bool {
	return len(l.config.Nodes) > 1 && l.config.Cluster.KeyFile != ""
}

// rotate has the worker use the keys of session tickets that are due, and returns what
// the peer is told of them.
func (c *coordinator) rotate(now time.Time, sc scene) []tickets.Key {
	shared := sc.loaded.sharesTickets()
	var said []tickets.Key
	spoke := false
	for _, v := range sc.views {
		if shared && v.State != nil {
			said, spoke = append(said, v.State.Tickets...), true
		}
	}
	c.worker.setTickets(c.tickets.Look(now, sc.loaded.self.Name, said, shared && !spoke, func() (s tickets.Secret) {
		rand.Read(s[:]) // never fails
		return s
	}))
	keys := c.tickets.Keys()
	c.mu.Lock()
	c.ticketKeys = keys
	c.mu.Unlock()
	if !shared {
		return nil
	}
	return keys
}

// ticketStatus is what the status says of the keys of session tickets: not the secrets.
func ticketStatus(l *loaded, keys []tickets.Key) admin.Tickets {
	st := admin.Tickets{Shared: l.sharesTickets(), Keys: []admin.TicketKey{}}
	if len(l.config.Nodes) > 1 && !st.Shared {
		st.Unshared = "without cluster.key_file the nodes do not tell each other the keys of TLS sessions: clients begin anew after a failover"
	}
	for _, k := range keys {
		st.Keys = append(st.Keys, admin.TicketKey{ID: k.Secret.ID().String(), Born: k.Born})
	}
	return st
}

// setTickets has the running worker, and every one after it, use keys.
func (w *workerLink) setTickets(keys [][32]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Equal(keys, w.tickets) {
		return
	}
	w.tickets = keys
	w.sendTickets()
}

// sendTickets tells the running worker the keys, if there are any. The caller holds mu.
func (w *workerLink) sendTickets() {
	if w.conn == nil || len(w.tickets) == 0 {
		return
	}
	if err := w.conn.Send(ipc.ToWorker{Tickets: &ipc.Tickets{Keys: w.tickets}}); err != nil {
		w.log.Warn("session tickets for the worker", zap.Error(err))
	}
}
