package worker

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
)

func TestServes(t *testing.T) {
	s := startWorker(t)
	webBind, dbBind := s.bind(t, "web"), s.bind(t, "db")
	a, b := web(t, says("a")), web(t, says("b"))
	db := echoes(t)
	s.mustApply(t, proxy.Spec{
		Listeners: []proxy.Listener{
			newSpecListener("web", proxy.HTTP, "web", webBind),
			newSpecListener("db", proxy.TCP, "db", dbBind),
		},
		Pools: pools(newSpecPool("web", a, b), newSpecPool("db", db)),
	})
	c := connect(t, webBind)
	for _, want := range []string{"a", "b", "a"} {
		if got := c.ask(t); got != want {
			t.Errorf("answered by %q, want %q", got, want)
		}
	}
	connect(t, dbBind).echo(t, "ping")

	share := ipc.Share{State: "ready", Weight: 1}
	want := ipc.WorkerState{
		Listeners: []ipc.ListenerState{
			{Name: "web", Connections: 1, Accepted: 1, Requests: 3},
			{Name: "db", Connections: 1, Accepted: 1},
		},
		Pools: []ipc.PoolState{
			{Name: "web", Servers: []ipc.ServerState{
				{Name: a.String(), Address: a, Health: "up", Reason: "connected", Served: 2, Share: share},
				{Name: b.String(), Address: b, Health: "up", Reason: "connected", Served: 1, Share: share},
			}},
			{Name: "db", Active: 1, Servers: []ipc.ServerState{
				{Name: db.String(), Address: db, Health: "up", Reason: "connected", Active: 1, Share: share},
			}},
		},
	}
	var diff string
	s.until(t, func(st ipc.WorkerState) bool {
		diff = cmp.Diff(want, st, cmpopts.IgnoreFields(ipc.ServerState{}, "Since"), cmpopts.EquateComparable(netip.AddrPort{}),
			cmpopts.IgnoreFields(ipc.WorkerState{}, "Overload"), cmpopts.IgnoreFields(ipc.PoolState{}, "RetryBudget"))
		return diff == ""
	})
}

func TestAnswersPings(t *testing.T) {
	s := startWorker(t)
	for seq := range uint64(3) {
		s.send(t, ipc.ToWorker{Ping: &ipc.Ping{Seq: seq}})
		if got := await(t, s.pongs); got.Seq != seq {
			t.Errorf("pong %d, want %d", got.Seq, seq)
		}
	}
}

func TestPublishesHealth(t *testing.T) {
	var sick atomic.Bool
	server := web(t, func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s := startWorker(t)
	pool := newSpecPool("web", server)
	pool.Check = proxy.Check{
		Kind: proxy.CheckHTTP, Method: http.MethodGet, Path: "/", Expect: proxy.StatusRange{Low: 200, High: 299},
		Every: 10 * time.Millisecond, Timeout: patience, Rise: 2, Fall: 3,
	}
	bind := s.bind(t, "web")
	s.mustApply(t, proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, "web", bind)},
		Pools:     pools(pool),
	})
	health := func(want, reason string) {
		t.Helper()
		s.until(t, func(st ipc.WorkerState) bool {
			return len(st.Pools) == 1 && st.Pools[0].Servers[0].Health == want && st.Pools[0].Servers[0].Reason == reason
		})
	}
	health("up", "GET /: status 200")
	sick.Store(true)
	health("down", "GET /: status 500, expected 200-299")
	if res := connect(t, bind).get(t); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("response = %s, want 503", res.Status)
	}
	sick.Store(false)
	health("up", "GET /: status 200")
}

// A failed connect asks for a check, which need not wait for its turn.
func TestFailedConnectIsChecked(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := startWorker(t)
	pool := newSpecPool("db", netip.MustParseAddrPort(l.Addr().String()))
	pool.Check = proxy.Check{Kind: proxy.CheckTCP, Every: time.Hour, Timeout: patience, Rise: 2, Fall: 2}
	bind := s.bind(t, "db")
	s.mustApply(t, proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("db", proxy.TCP, "db", bind)},
		Pools:     pools(pool),
	})
	health := func(want string) {
		t.Helper()
		s.until(t, func(st ipc.WorkerState) bool { return len(st.Pools) == 1 && st.Pools[0].Servers[0].Health == want })
	}
	health("up")
	l.Close()
	// One connect makes one failure; the other is the check's.
	if c, err := net.Dial("tcp", bind.String()); err == nil {
		defer c.Close()
	}
	health("down")
}

func TestRefusesConfig(t *testing.T) {
	server := web(t, says("old"))
	other, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	unixFile, err := other.File()
	if err != nil {
		t.Fatal(err)
	}
	defer unixFile.Close()

	s := startWorker(t)
	bind := s.bind(t, "web")
	good := func() proxy.Spec {
		return proxy.Spec{
			Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, "web", bind)},
			Pools:     pools(newSpecPool("web", server)),
		}
	}
	s.mustApply(t, good())
	kept := connect(t, bind)
	kept.ask(t)

	nowhere := netip.MustParseAddrPort("127.0.0.1:1")
	tests := []struct {
		name   string
		change func(*proxy.Spec)
		want   string
	}{
		{"unknown pool", func(s *proxy.Spec) {
			s.Listeners[0].Routes = []proxy.Route{{Split: []proxy.Share{{Pool: "api", Weight: 1}}}}
		}, `listener "web": unknown pool "api"`},
		{"unknown protocol", func(s *proxy.Spec) { s.Listeners[0].Protocol = "sctp" }, `listener "web": unknown protocol "sctp" (known: http, tcp, udp)`},
		{"unknown balance", func(s *proxy.Spec) { s.Pools[0].Balance = "luck" }, `pool "web": unknown balance "luck" (known: round_robin, least_connections, least_response_time, client_ip_hash, consistent_hash, random)`},
		{"unknown check", func(s *proxy.Spec) { s.Pools[0].Check.Kind = "icmp" }, `pool "web": unknown check "icmp" (known: tcp, http)`},
		{"endless check", func(s *proxy.Spec) { s.Pools[0].Check.Kind = proxy.CheckTCP }, `pool "web": check every 0s with a timeout of 0s: both must be positive`},
		{"pool twice", func(s *proxy.Spec) { s.Pools = append(s.Pools, s.Pools[0]) }, `pool "web" is defined twice`},
		{"listener twice", func(s *proxy.Spec) { s.Listeners = append(s.Listeners, s.Listeners[0]) }, `listener "web" is defined twice`},
		{"no socket", func(s *proxy.Spec) { s.Listeners[0].Bind = append(s.Listeners[0].Bind, nowhere) }, `listener "web": no socket was handed over for 127.0.0.1:1`},
		{"no TCP socket", func(spec *proxy.Spec) {
			spec.Listeners[0].Name = "odd"
			spec.Listeners[0].Bind[0] = nowhere
			s.send(t, ipc.ToWorker{Sockets: &ipc.Sockets{List: []ipc.Socket{{Listener: "odd", Bind: nowhere}}}}, unixFile)
		}, `listener "odd" on 127.0.0.1:1: open the socket handed over: it is no listening socket of tcp`},
		{"no UDP socket", func(spec *proxy.Spec) {
			spec.Listeners[0].Name, spec.Listeners[0].Protocol = "odd", proxy.UDP
			spec.Listeners[0].Bind[0] = nowhere
			s.send(t, ipc.ToWorker{Sockets: &ipc.Sockets{List: []ipc.Socket{{Listener: "odd", Bind: nowhere, UDP: true}}}}, unixFile)
		}, `listener "odd" on 127.0.0.1:1: open the socket handed over: it is no socket of udp`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec := good()
			spec.Pools = append(spec.Pools, newSpecPool("more", server))
			tt.change(&spec)
			if got := s.apply(t, spec); got != tt.want {
				t.Errorf("error = %q, want %q", got, tt.want)
			}
			for _, c := range []client{kept, connect(t, bind)} {
				if got := c.ask(t); got != "old" {
					t.Errorf("answered by %q, want what was served before", got)
				}
			}
		})
	}
	s.until(t, func(st ipc.WorkerState) bool {
		return len(st.Pools) == 1 && len(st.Listeners) == 1 && st.Listeners[0].Requests == uint64(1+2*len(tests))
	})
}

// Sockets without their names, or names without sockets, are not kept.
func TestRefusesSocketsThatDoNotMatch(t *testing.T) {
	s := startWorker(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.send(t, ipc.ToWorker{Sockets: &ipc.Sockets{}}, w)
	s.send(t, ipc.ToWorker{Ping: &ipc.Ping{}}, w)
	w.Close()
	if _, err := io.ReadAll(r); err != nil { // ends when the worker holds no copy
		t.Error(err)
	}
}
