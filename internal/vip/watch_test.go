package vip

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func (h host) watch() *Watch {
	h.t.Helper()
	w, err := NewWatch()
	must(h.t, err)
	h.run(w)
	return w
}

// run runs w until the end of the test.
func (h host) run(w *Watch) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				h.t.Errorf("Run = %v after its context was done, want nil", err)
			}
		case <-time.After(10 * time.Second):
			h.t.Error("Run goes on 10 s after its context was done")
		}
	})
}

func TestWatchTellsWhatVanishes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lease time.Duration
		lose  func(h host, table *Table)
		want  []Removed
	}{
		{
			"removed by hand", time.Minute,
			func(h host, _ *Table) { h.remove("192.0.2.100/24") },
			[]Removed{{"eth0", front}},
		},
		{
			"expired", time.Second,
			func(host, *Table) {},
			[]Removed{{"eth0", front}},
		},
		{
			"released", time.Minute,
			func(h host, table *Table) { must(h.t, table.Release("eth0", front)) },
			[]Removed{{"eth0", front}},
		},
		{
			"removed with its primary address", time.Minute,
			func(h host, _ *Table) { h.remove("192.0.2.1/24") },
			[]Removed{{"eth0", front}, {"eth0", netip.MustParsePrefix("192.0.2.1/24")}},
		},
		{
			"interface deleted", time.Minute,
			func(h host, _ *Table) { must(h.t, h.nl.LinkDel(h.link())) },
			[]Removed{{"eth0", front}, {"eth0", netip.MustParsePrefix("192.0.2.1/24")}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			table := h.table()
			w := h.watch()
			h.hold(table, tt.lease, true)
			if tt.lease > time.Second {
				h.hold(table, tt.lease, false) // a renewal is no loss
			}
			tt.lose(h, table)
			var got []Removed
			timeout := time.After(10 * time.Second)
			for len(got) < len(tt.want) {
				select {
				case r := <-w.Removed():
					got = append(got, r)
				case <-timeout:
					t.Fatalf("told within 10 s: %v, want %v", got, tt.want)
				}
			}
			// In which order an interface loses its addresses is the kernel's affair.
			opts := cmp.Options{
				cmpopts.SortSlices(func(a, b Removed) bool { return a.Prefix.Addr().Less(b.Prefix.Addr()) }),
				cmpopts.EquateComparable(netip.Prefix{}),
			}
			if diff := cmp.Diff(tt.want, got, opts); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWatchEndsWhileNobodyListens(t *testing.T) {
	h := newHost(t)
	h.watch() // the cleanup checks that Run ends, with this undelivered:
	h.remove("192.0.2.1/24")
}

func TestWatchReportsAClosedSubscription(t *testing.T) {
	newHost(t)
	w, err := NewWatch()
	must(t, err)
	w.socket.Close()
	if err := w.Run(context.Background()); err == nil {
		t.Error("Run = nil on a closed subscription")
	}
}

// What the kernel could not keep for a slow reader is lost, not the Watch.
func TestWatchSurvivesAnOverflow(t *testing.T) {
	h := newHost(t)
	w, err := NewWatch()
	must(t, err)
	const smallest = 1 // the kernel raises it to its minimum
	must(t, w.socket.SetReceiveBufferSize(smallest, false))
	for range 100 {
		h.add("192.0.2.77/24")
		h.remove("192.0.2.77/24")
	}
	h.run(w)
	t.Log("# the reader has caught up once it tells what happens now")
	table := h.table()
	eventually(t, "news after the overflow", func() bool {
		_, err := table.Hold("eth0", front, time.Minute)
		must(t, err)
		must(t, table.Release("eth0", front))
		for {
			select {
			case r := <-w.Removed():
				if r.Prefix == front {
					return true
				}
			default:
				return false
			}
		}
	})
}
