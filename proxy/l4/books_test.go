package l4

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/stats"
)

// counted is a config that writes to r.
func (r *running) counted(t *testing.T, books *stats.Registry) {
	t.Helper()
	c := r.config(t)
	c.Count(books)
	r.Configure(c)
}

func (r *running) counts(t *testing.T, books *stats.Registry) stats.PageCounts {
	t.Helper()
	eventually(t, "the end of all entries", func() bool {
		s := books.Snapshot()
		all := s.Listener(r.listener.Name)
		return all.Begun > 0 && all.Begun == all.Over
	})
	s := books.Snapshot()
	return s.Listener(r.listener.Name)
}

func TestConnectionsAreWrittenDown(t *testing.T) {
	books := stats.NewRegistry(2)
	r := start(t, pool(t, backend(t, echo)))
	r.counted(t, books)
	c := r.dial(t)
	echoed(t, c)
	eventually(t, "bytes that are counted while the connection lasts", func() bool { // behind those that it got
		s := books.Snapshot()
		live := s.Pool("db")
		return live.In > 0 && live.Out > 0
	})
	c.Close()
	got := r.counts(t, books)
	if diff := cmp.Diff(map[string]uint64{"closed": 1}, got.Ends); diff != "" || got.Total.Count() != 1 || got.Connect.Count() != 1 || got.In != got.Out {
		t.Errorf("%d bytes in, %d out, %d durations, %d connects; ends (-want +got):\n%s", got.In, got.Out, got.Total.Count(), got.Connect.Count(), diff)
	}
}

func TestConnectionsWithoutAServerAreWrittenDown(t *testing.T) {
	books := stats.NewRegistry(2)
	r := start(t, pool(t, reactortest.Refusing(t)))
	r.counted(t, books)
	r.rejected(t)
	if got := r.counts(t, books); got.Ends["unserved"] != 1 || got.Connect.Count() != 0 || got.Protocol != string(proxy.TCP) {
		t.Errorf("ends %v, %d connects, protocol %q", got.Ends, got.Connect.Count(), got.Protocol)
	}
}

func TestWaitsAreWrittenDown(t *testing.T) {
	books := stats.NewRegistry(2)
	r, last := busy(t, func(p *proxy.Pool) { p.Limits.Queue = 2 })
	r.counted(t, books)
	second := r.dial(t)
	r.waiting(t, 1)
	last.Close()
	echoed(t, second)
	second.Close()
	if got := r.counts(t, books); got.Queue.Count() != 1 || got.Queue.Sum == 0 {
		t.Errorf("%d waits of %d ns, want one", got.Queue.Count(), got.Queue.Sum)
	}
}

// A tunnel that moves its bytes through pipes counts them before it ends.
func TestBulkIsCountedWhileItLasts(t *testing.T) {
	books := stats.NewRegistry(2)
	r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
		for chunk := make([]byte, 64<<10); ; {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})))
	r.counted(t, books)
	c := r.dial(t)
	for read, b := 0, make([]byte, 64<<10); read < 8<<20; {
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		read += n
	}
	eventually(t, "some megabytes in the books", func() bool {
		s := books.Snapshot()
		return s.Pool("db").Out > 4<<20
	})
	reset(c)
	r.counts(t, books)
}
