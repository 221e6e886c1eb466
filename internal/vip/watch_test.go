package vip

import (
	"context"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
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

func TestWatchTellsWhatVanishesOfIPv6(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(h host, table *Table)
	}{
		{"removed by hand", func(h host, _ *Table) { h.remove(front6.String()) }},
		{"expired", func(host, *Table) {}},
		{"released", func(h host, table *Table) { must(h.t, table.Release("eth0", front6)) }},
		{"interface down", func(h host, _ *Table) { must(h.t, h.nl.LinkSetDown(h.link())) }},
		{"interface deleted", func(h host, _ *Table) { must(h.t, h.nl.LinkDel(h.link())) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost6(t)
			table := h.table()
			w := h.watch()
			h.holdPrefix(table, front6, time.Second, true)
			h.holdPrefix(table, front6, time.Second, false)
			tt.lose(h, table)
			timeout := time.After(10 * time.Second)
			for {
				select {
				case r := <-w.Removed():
					if r == (Removed{"eth0", front6}) {
						return
					}
					t.Logf("# %v", r) // the host's own, which it loses too
				case <-timeout:
					t.Fatal("not told within 10 s")
				}
			}
		})
	}
}

// Addresses of IPv6 come with the number of an interface. Its name is remembered
// until it is deleted; a port that joins or leaves a bridge is another matter.
func TestWatchKnowsInterfacesThatAreGone(t *testing.T) {
	newHost(t)
	w, err := NewWatch()
	must(t, err)
	defer w.socket.Close()
	named := func(name string) []byte { return attribute(unix.IFLA_IFNAME, append([]byte(name), 0)...) }
	for _, tt := range []struct {
		what   string
		kind   uint16
		family uint8
		attrs  []byte
		want   string
	}{
		{"port of a bridge", unix.RTM_NEWLINK, unix.AF_BRIDGE, named("port"), ""},
		{"new", unix.RTM_NEWLINK, unix.AF_UNSPEC, named("eth7"), "eth7"},
		{"renamed", unix.RTM_NEWLINK, unix.AF_UNSPEC, named("lan0"), "lan0"},
		{"of no name", unix.RTM_NEWLINK, unix.AF_UNSPEC, nil, "lan0"},
		{"left its bridge", unix.RTM_DELLINK, unix.AF_BRIDGE, named("lan0"), "lan0"},
		{"deleted", unix.RTM_DELLINK, unix.AF_UNSPEC, named("lan0"), ""},
	} {
		const gone = 7777
		msg := nl.NewIfInfomsg(int(tt.family))
		msg.Index = gone
		must(t, w.link(syscall.NetlinkMessage{
			Header: syscall.NlMsghdr{Type: tt.kind},
			Data:   append(msg.Serialize(), tt.attrs...),
		}))
		if got := w.name(address{index: gone}); got != tt.want {
			t.Errorf("%s: its name is %q, want %q", tt.what, got, tt.want)
		}
	}
	if err := w.link(syscall.NetlinkMessage{Data: make([]byte, 8)}); err == nil {
		t.Error("no error for a message that is cut")
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
