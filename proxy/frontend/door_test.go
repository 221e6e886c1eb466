package frontend

import (
	"hash/maphash"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/ratelimit"
)

// Whoever comes again at once when turned away must not take all the time of those that
// are in.
func TestADoorRestsFromTurningAway(t *testing.T) {
	b := start(t, "127.0.0.1", Options{})
	// Two at once, and then none for a long time: the door rests after each.
	b.door.pace = ratelimit.New(proxy.RateLimit{Requests: 1, Per: time.Hour, Burst: 2}, 1, maphash.MakeSeed(), time.Now())
	b.Limit(proxy.ListenerLimits{Connections: 1})
	in := b.dial(t, "")
	served(t, in)

	const clients, free = 12, 2
	began := time.Now()
	for range clients {
		if got := said(t, b.dial(t, "")); got != "no: connections" {
			t.Errorf("told %q", got)
		}
	}
	// The first one beyond those that are free is turned away before the door rests.
	if took, least := time.Since(began), (clients-free-1)*doorRest; took < least {
		t.Errorf("%d were turned away within %v, want %v or more", clients, took, least)
	}
	if n := b.Traffic().Refused[string(Connections)]; n != clients {
		t.Errorf("%d were turned away, want all %d", n, clients)
	}

	t.Log("# those that are in are served, and room that is made is given away")
	served(t, in)
	in.Close()
	b.hasOpen(t, 0)
	served(t, b.dial(t, ""))
}
