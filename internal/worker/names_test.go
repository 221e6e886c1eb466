package worker

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
)

func TestNamesAreAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		n := newNames(func(m ipc.FromWorker) { asked = append(asked, m.Lookup.Host) })
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				got, err := n.lookup(t.Context(), "collector")
				if err != nil || len(got) != 1 || got[0].String() != "192.0.2.1" {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
		synctest.Wait()
		n.found(ipc.Found{Host: "other", Error: "no such host"})
		n.found(ipc.Found{Host: "collector", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
		all.Wait()
		if !slices.Equal(asked, []string{"collector"}) {
			t.Errorf("asked for %v", asked)
		}
	})
}

func TestNamesWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		n := newNames(func(ipc.FromWorker) { asked++ })
		began := time.Now()
		if got, err := n.lookup(t.Context(), "collector"); err == nil || time.Since(began) != lookupWithin {
			t.Errorf("%v, %v after %v", got, err, time.Since(began))
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := n.lookup(ended, "collector"); err == nil {
			t.Error("nobody has answered")
		}
		n.found(ipc.Found{Host: "collector", Error: "no such host"})
		if _, err := n.lookup(ended, "collector"); err == nil || err.Error() != "no such host" {
			t.Errorf("%v", err)
		}
		n.found(ipc.Found{Host: "collector", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
		// DNS may fail afterwards: what it has said once is better than nothing.
		n.found(ipc.Found{Host: "collector", Error: "server misbehaving"})
		if got, err := n.lookup(ended, "collector"); err != nil || len(got) != 1 {
			t.Errorf("%v, %v", got, err)
		}
		if asked != 4 {
			t.Errorf("asked %d times", asked)
		}
		n.found(ipc.Found{Host: "void"})
		if _, err := n.lookup(ended, "void"); err == nil {
			t.Error("a name without addresses has some")
		}
	})
}
