package stats

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
)

func TestClasses(t *testing.T) {
	for status, want := range map[int]int{
		0: ClassOther, 99: ClassOther, 100: Class1xx, 101: Class1xx, 199: Class1xx, 200: Class2xx, 304: Class3xx, 404: Class4xx,
		498: Class4xx, 499: Class499, 500: Class5xx, 599: Class5xx, 600: ClassOther, 999: ClassOther, -1: ClassOther,
	} {
		if got := ClassOf(status); got != want {
			t.Errorf("status %d is of class %s, want %s", status, ClassNames[got], ClassNames[want])
		}
	}
}

func spec(listener string, pools ...string) *proxy.Spec {
	l := proxy.Listener{Name: listener, Protocol: proxy.HTTP}
	s := &proxy.Spec{}
	for _, p := range pools {
		l.Routes = append(l.Routes, proxy.Route{Split: []proxy.Share{{Pool: p, Weight: 1}}})
		s.Pools = append(s.Pools, proxy.Pool{Name: p, Servers: []proxy.Server{{Name: "a"}}})
	}
	s.Listeners = []proxy.Listener{l}
	return s
}

var http = Kind{Protocol: "http", Ends: []string{"ok", "no_server"}}

func TestCountersOutliveAConfig(t *testing.T) {
	r := NewRegistry(2)
	write := func(pool string, loop int) {
		r.Page(Key{Listener: "web"}, http).Shard(loop).Begin()
		s := r.Page(Key{"web", pool}, http).Shard(loop)
		s.Total.Observe(time.Millisecond)
		s.Respond(200)
		s.In.Add(1)
		s.Out.Add(2)
		s.End(1)
		r.Server(ServerKey{pool, "a"}).Respond(loop, 503)
	}
	write("one", 0)
	write("two", 1)
	r.Retain(spec("web", "one", "two"))
	write("one", 1)
	got := r.Snapshot()
	one := got.Pool("one")
	if one.In != 2 || one.Out != 4 || one.Classes[Class2xx] != 2 || one.Ends["no_server"] != 2 || one.Total.Count() != 2 {
		t.Errorf("pool one: %+v", one)
	}
	web := got.Listener("web")
	if web.Begun != 3 || web.Protocol != "http" || web.Classes[Class2xx] != 3 {
		t.Errorf("listener web: %+v", web)
	}
	if len(got.Servers) != 2 || got.Servers[0].Classes[Class5xx] != 2 {
		t.Errorf("servers: %+v", got.Servers)
	}

	held := r.Page(Key{"web", "two"}, http).Shard(0)
	r.Retain(spec("web", "one"))
	held.Respond(200) // by the old config
	after := r.Snapshot()
	var keys []Key
	for _, p := range after.Pages {
		keys = append(keys, p.Key)
	}
	if diff := cmp.Diff([]Key{{"web", ""}, {"web", "one"}}, keys); diff != "" || len(after.Servers) != 1 {
		t.Errorf("pages that are left (-want +got):\n%s, servers %+v", diff, after.Servers)
	}
	r.Retain(spec("other"))
	if s := r.Snapshot(); len(s.Pages) != 0 || len(s.Servers) != 0 {
		t.Errorf("of another config there is %+v", s)
	}
}

func TestListenerOfAnotherProtocolBeginsAnew(t *testing.T) {
	r := NewRegistry(1)
	r.Page(Key{Listener: "web"}, http).Shard(0).Begin()
	r.Page(Key{Listener: "web"}, Kind{Protocol: "tcp", Ends: []string{"closed"}}).Shard(0).End(0)
	next := spec("web", "app")
	next.Listeners[0].Protocol = proxy.TCP
	r.Retain(next)
	s := r.Snapshot()
	if len(s.Pages) != 1 || s.Pages[0].Begun != 0 || s.Pages[0].Ends["closed"] != 1 {
		t.Errorf("%+v", s.Pages)
	}
}

func TestSnapshotsDiffer(t *testing.T) {
	r := NewRegistry(1)
	home, page, server := r.Page(Key{Listener: "web"}, http).Shard(0), r.Page(Key{"web", "app"}, http).Shard(0), r.Server(ServerKey{"app", "a"})
	write := func() {
		home.Begin()
		page.Total.Observe(time.Second)
		page.FirstByte.Observe(time.Second)
		page.Connect.Observe(time.Second)
		page.Queue.Observe(time.Second)
		page.Respond(503)
		page.End(1)
		page.In.Add(5)
		page.Out.Add(7)
		server.Respond(0, 503)
		home.Finish()
	}
	write()
	write()
	before := r.Snapshot()
	write()
	after := r.Snapshot()
	d := after.Sub(&before)
	web := d.Listener("web")
	want := PageCounts{Key: Key{Listener: "web"}, Protocol: "http", Begun: 1, Over: 1, In: 5, Out: 7, Ends: map[string]uint64{"no_server": 1}}
	want.Classes[Class5xx] = 1
	second := web.Total
	want.Total, want.FirstByte, want.Connect, want.Queue = second, second, second, second
	if diff := cmp.Diff(want, web); diff != "" || second.Count() != 1 || d.Servers[0].Classes[Class5xx] != 1 {
		t.Errorf("difference (-want +got):\n%s, servers %+v", diff, d.Servers)
	}
	if again := before.Sub(&after); again.Listener("web").Begun != 2 {
		t.Errorf("after a new start %+v, want all of it", again)
	}
	if all := after.Sub(&Snapshot{}); all.Listener("web").Begun != 3 {
		t.Errorf("without a snapshot before %+v, want all of it", all)
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	r := NewRegistry(1)
	page, server := r.Page(Key{"web", "app"}, http), r.Server(ServerKey{"app", "a"})
	write := func() {
		s := page.Shard(0)
		s.Begin()
		s.Total.Observe(time.Millisecond)
		s.Respond(200)
		server.Respond(0, 200)
		s.Finish()
	}
	write()
	if n := testing.AllocsPerRun(100, write); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	(*Server)(nil).Respond(0, 200) // where nothing is counted
}

func TestImpossibleSnapshots(t *testing.T) {
	for name, d := range map[string]Distribution{
		"before the first bucket": {From: -1, Counts: []uint64{1}},
		"behind the last":         {From: Buckets, Counts: []uint64{1}},
		"far behind":              {From: 1 << 62, Counts: []uint64{1}},
		"too many":                {Counts: make([]uint64, Buckets+1)},
	} {
		if s := (Snapshot{Pages: []PageCounts{{}, {Connect: d}}}); s.Valid() {
			t.Errorf("%s: it is taken for good", name)
		}
	}
	if s := (Snapshot{Pages: []PageCounts{{Total: Distribution{Counts: make([]uint64, Buckets)}}, {Queue: Distribution{From: Overflow, Counts: []uint64{1}}}}}); !s.Valid() {
		t.Error("all buckets are taken for impossible")
	}
}
