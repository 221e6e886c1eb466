package supervisor

import (
	"slices"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/internal/tickets"
)

func TestEveryWorkerGetsTheTicketKeys(t *testing.T) {
	w := newWorkerLink()
	w.setTickets([][32]byte{{1}, {9}})
	background(t, w.run)
	given := func(want ...uint64) func() bool {
		return func() bool {
			v := w.view()
			var got []uint64
			for i := 0; v.state != nil && i < len(v.state.Listeners); i++ {
				if l := v.state.Listeners[i]; l.Name == "tickets" {
					got = append(got, l.Accepted)
				} else if i == 0 {
					t.Errorf("the config came first: %+v", v.state.Listeners)
				}
			}
			return v.ready && slices.Equal(got, want)
		}
	}
	eventually(t, "the first one has them", given(1))
	w.setTickets([][32]byte{{1}, {9}}) // nothing new: nothing is sent
	w.setTickets([][32]byte{{2}, {1}})
	eventually(t, "it is told of new ones", given(1, 2))
	kill(t, w.view().pid)
	eventually(t, "the next one has the newest", func() bool { return w.view().ends.count == 1 && given(2)() })
}

func TestTicketKeysAreSharedWhereTheTalkIsEncrypted(t *testing.T) {
	for _, encrypted := range []bool{true, false} {
		c, sc := trackingScene(t)
		c.worker = &workerLink{}
		if encrypted {
			sc.loaded.config.Cluster.KeyFile = "/etc/tandem/cluster.key"
		}
		theirs := tickets.Key{Secret: tickets.Secret{7}, Born: time.Unix(900, 0).UTC()}
		sc.views[0].State.Tickets = []tickets.Key{theirs}
		said := c.rotate(time.Unix(1000, 0), sc)
		first := c.worker.tickets[0]
		st := ticketStatus(sc.loaded, c.ticketKeys)
		switch {
		case encrypted && (!slices.Equal(said, []tickets.Key{theirs}) || first != theirs.Secret || !st.Shared || st.Unshared != "" || st.Keys[0].ID != theirs.Secret.ID().String()):
			t.Errorf("encrypted: says %v, status %+v", said, st)
		case !encrypted && (said != nil || first == theirs.Secret || st.Shared || st.Unshared == "" || len(st.Keys) != 1):
			t.Errorf("plain: says %v, status %+v", said, st)
		}
	}
}

// A peer that has just been started, and has not spoken, may know the keys.
func TestANodeWaitsForTheKeysOfItsPeer(t *testing.T) {
	c, sc := trackingScene(t)
	c.worker = &workerLink{}
	sc.loaded.config.Cluster.KeyFile = "/etc/tandem/cluster.key"
	sc.views = []peer.View{{Name: "lb2"}}
	if c.rotate(time.Unix(1000, 0), sc); c.worker.tickets != nil {
		t.Error("it made one at once")
	}
	if c.rotate(time.Unix(1000, 0).Add(tickets.Patience), sc); len(c.worker.tickets) != 1 {
		t.Error("it waits for ever")
	}
}
