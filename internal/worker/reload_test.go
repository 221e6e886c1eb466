package worker

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
)

// I6: an accepted reload touches only what changed.
func TestReloadKeepsConnections(t *testing.T) {
	next := make(chan struct{})
	slow, a, b, db := web(t, waits(next)), web(t, says("a")), web(t, says("b")), echoes(t)
	s := startWorker(t)
	slowBind, webBind, dbBind := s.bind(t, "slow"), s.bind(t, "web"), s.bind(t, "db")
	spec := proxy.Spec{
		Listeners: []proxy.Listener{
			newSpecListener("slow", proxy.HTTP, "slow", slowBind),
			newSpecListener("web", proxy.HTTP, "web", webBind),
			newSpecListener("db", proxy.TCP, "db", dbBind),
		},
		Pools: pools(newSpecPool("slow", slow), newSpecPool("web", a), newSpecPool("db", db)),
	}
	s.mustApply(t, spec)

	t.Log("# a request in flight, an idle keep-alive connection, a TCP connection")
	inFlight := connect(t, slowBind).get(t)
	if _, err := io.ReadFull(inFlight.Body, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	idle := connect(t, webBind)
	if got := idle.ask(t); got != "a" {
		t.Fatalf("answered by %q, want a", got)
	}
	tcp := connect(t, dbBind)
	tcp.echo(t, "before")

	t.Log("# their pools get other servers")
	spec.Pools = pools(newSpecPool("slow", a), newSpecPool("web", b), newSpecPool("db"))
	s.mustApply(t, spec)
	next <- struct{}{}
	if rest, err := io.ReadAll(inFlight.Body); err != nil || string(rest) != "2" {
		t.Errorf("rest of the response = %q, %v; want 2", rest, err)
	}
	if got := idle.ask(t); got != "b" {
		t.Errorf("next request on the kept connection answered by %q, want b", got)
	}
	tcp.echo(t, "after")
	s.until(t, func(st ipc.WorkerState) bool {
		return len(st.Listeners) == 3 && st.Listeners[1].Accepted == 1 && st.Listeners[1].Requests == 2
	})
}

func TestReloadKeepsHealthAndCounters(t *testing.T) {
	a, b := web(t, says("a")), web(t, says("b"))
	s := startWorker(t)
	bind := s.bind(t, "web")
	pool := newSpecPool("web", a)
	pool.Check = proxy.Check{Kind: proxy.CheckTCP, Every: time.Hour, Timeout: patience, Rise: 2, Fall: 3}
	spec := proxy.Spec{Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, "web", bind)}, Pools: pools(pool)}
	s.mustApply(t, spec)
	c := connect(t, bind)
	c.ask(t)
	var before ipc.ServerState
	s.until(t, func(st ipc.WorkerState) bool {
		if len(st.Pools) == 0 {
			return false
		}
		before = st.Pools[0].Servers[0]
		return before.Health == "up" && before.Served == 1
	})
	pool.Servers = append(pool.Servers, newSpecPool("web", b).Servers...)
	pool.Servers[0].Name = "first"
	spec.Pools = pools(pool)
	s.mustApply(t, spec)
	s.until(t, func(st ipc.WorkerState) bool {
		return len(st.Pools[0].Servers) == 2 && st.Pools[0].Servers[1].Health == "up"
	})
	s.until(t, func(st ipc.WorkerState) bool {
		after := st.Pools[0].Servers[0]
		return after.Name == "first" && after.Health == "up" && after.Since.Equal(before.Since) && after.Served == 1
	})
}

func TestRemovedListener(t *testing.T) {
	next := make(chan struct{})
	slow, db := web(t, waits(next)), echoes(t)
	s := startWorker(t)
	webBind, dbBind, stays := s.bind(t, "web"), s.bind(t, "db"), s.bind(t, "stays")
	spec := proxy.Spec{
		Listeners: []proxy.Listener{
			newSpecListener("stays", proxy.TCP, "db", stays),
			newSpecListener("web", proxy.HTTP, "web", webBind),
			newSpecListener("db", proxy.TCP, "db", dbBind),
		},
		Pools: pools(newSpecPool("web", slow), newSpecPool("db", db)),
	}
	s.mustApply(t, spec)
	c := connect(t, webBind)
	inFlight := c.get(t)
	tcp := connect(t, dbBind)
	tcp.echo(t, "before")

	spec.Listeners = spec.Listeners[:1]
	s.mustApply(t, spec)
	refused(t, webBind)
	refused(t, dbBind)
	connect(t, stays).echo(t, "stays")
	tcp.echo(t, "after")
	next <- struct{}{}
	if got, err := io.ReadAll(inFlight.Body); err != nil || string(got) != "12" {
		t.Errorf("response = %q, %v; want 12", got, err)
	}
	c.end(t)
}

func TestListenerChanges(t *testing.T) {
	server := web(t, says("a"))
	s := startWorker(t)
	first, second := s.bind(t, "web"), s.bind(t, "web")
	spec := proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, "web", first)},
		Pools:     pools(newSpecPool("web", server)),
	}

	t.Log("# an address that the config does not name is given up")
	s.mustApply(t, spec)
	refused(t, second)
	kept := connect(t, first)
	kept.ask(t)

	t.Log("# another address is added, twice named")
	second = s.bind(t, "web")
	spec.Listeners[0].Bind = append(spec.Listeners[0].Bind, second, second)
	s.mustApply(t, spec)
	connect(t, second).ask(t)

	t.Log("# the first is removed; its connection stays")
	spec.Listeners[0].Bind = spec.Listeners[0].Bind[1:]
	s.mustApply(t, spec)
	refused(t, first)
	kept.ask(t)

	t.Log("# the protocol changes on the same socket")
	spec.Listeners[0].Protocol = proxy.TCP
	s.mustApply(t, spec)
	kept.end(t)
	c := connect(t, second)
	if got := c.ask(t); got != "a" {
		t.Errorf("answered by %q, want a", got)
	}
	s.until(t, func(st ipc.WorkerState) bool {
		return len(st.Listeners) == 1 && st.Listeners[0].Requests == 0 && st.Listeners[0].Connections == 1
	})
}

func TestSocketsOfARefusedConfigAreGivenUp(t *testing.T) {
	s := startWorker(t)
	bind := s.bind(t, "web")
	spec := proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, "web", bind)},
		Pools:     pools(newSpecPool("web", web(t, says("a")))),
	}
	s.mustApply(t, spec)
	more := s.bind(t, "more")
	bad := spec
	bad.Listeners = append(bad.Listeners, newSpecListener("more", proxy.HTTP, "none", more))
	if err := s.apply(t, bad); err == "" {
		t.Fatal("a listener without a pool was accepted")
	}
	refused(t, more)
	connect(t, bind).ask(t)
	s.mustApply(t, spec)
	connect(t, bind).ask(t)
}

// A socket that is handed over again takes the place of the one before.
func TestSocketIsReplaced(t *testing.T) {
	s := startWorker(t)
	bind := s.bind(t, "web")
	spec := proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, "web", bind)},
		Pools:     pools(newSpecPool("web", web(t, func(http.ResponseWriter, *http.Request) {}))),
	}
	s.mustApply(t, spec)
	other := s.bindAs(t, "web", bind)
	s.mustApply(t, spec)
	refused(t, bind)
	connect(t, other).ask(t)
}

func TestLogLevelIsThatOfTheConfig(t *testing.T) {
	s := startWorker(t)
	for _, tc := range []struct {
		name, level string
		spec        proxy.Spec
		refused     bool
		want        zapcore.Level
	}{
		{name: "set", level: "debug", want: zapcore.DebugLevel},
		{name: "with a spec that is refused", level: "error", spec: proxy.Spec{Listeners: []proxy.Listener{{Name: "web"}}}, refused: true, want: zapcore.DebugLevel},
		{name: "unknown", level: "loud", refused: true, want: zapcore.DebugLevel},
		{name: "changed", level: "warn", want: zapcore.WarnLevel},
		{name: "not said", want: zapcore.InfoLevel},
	} {
		err := s.configure(t, ipc.WorkerConfig{Spec: tc.spec, LogLevel: tc.level})
		if (err != "") != tc.refused {
			t.Errorf("%s: refused: %q", tc.name, err)
		}
		if got := s.level.Level(); got != tc.want {
			t.Errorf("%s: level %s, want %s", tc.name, got, tc.want)
		}
	}
}

// upgrades answers with 101 and echoes from then on.
func upgrades(w http.ResponseWriter, r *http.Request) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	rw.Flush()
	io.Copy(c, rw)
}

func TestReloadKeepsTunnelsAndConnectionsToServers(t *testing.T) {
	var made atomic.Int64
	server := httptest.NewUnstartedServer(says("a"))
	server.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			made.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	s := startWorker(t)
	bind, wsBind := s.bind(t, "web"), s.bind(t, "ws")
	kept := newSpecPool("web", netip.MustParseAddrPort(server.Listener.Addr().String()))
	kept.Limits = proxy.PoolLimits{Idle: 10}
	spec := proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, "web", bind), newSpecListener("ws", proxy.HTTP, "ws", wsBind)},
		Pools:     pools(kept, newSpecPool("ws", web(t, upgrades))),
	}
	s.mustApply(t, spec)
	var tunnels []client
	for range 20 {
		c := connect(t, wsBind)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(res, err)
		}
		c.echo(t, "before")
		tunnels = append(tunnels, c)
	}
	c := connect(t, bind)
	for i := range 5 {
		c.ask(t)
		spec.Listeners[0].Limits.Headers = 50 + i
		kept.Timeouts.Response = time.Duration(i+1) * time.Minute
		spec.Pools[0] = kept
		s.mustApply(t, spec)
	}
	c.ask(t)
	if n := made.Load(); n != 1 {
		t.Errorf("%d connections were made to the server, want 1 that is kept", n)
	}

	t.Log("# their listener and pool are removed: what is open goes on")
	spec.Listeners, spec.Pools = spec.Listeners[:1], spec.Pools[:1]
	s.mustApply(t, spec)
	refused(t, wsBind)
	for _, c := range tunnels {
		c.echo(t, "after")
	}
}

// Only the loop that accepts hears of a connection, also when the socket has been
// served from before.
func TestASocketIsWatchedOnce(t *testing.T) {
	s := startWorker(t)
	bind := s.bind(t, "web")
	spec := proxy.Spec{
		Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, "web", bind)},
		Pools:     pools(newSpecPool("web", web(t, says("a")))),
	}
	s.mustApply(t, spec)
	connect(t, bind).ask(t)
	inode := listening(t, bind.Port())
	all, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range all {
		text, _ := os.ReadFile(name) // it may be closed by now
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "tfd:") && strings.Contains(line, fmt.Sprintf(" ino:%x ", inode)) {
				n++
			}
		}
	}
	if n != 1 {
		t.Errorf("the socket is watched %d times", n)
	}
}

// listening returns the inode of the socket that listens on a port of 127.0.0.1.
func listening(t *testing.T, port uint16) (inode uint64) {
	t.Helper()
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			if _, err := fmt.Sscan(f[9], &inode); err != nil {
				t.Fatal(err)
			}
			return inode
		}
	}
	t.Fatal("nothing listens")
	return 0
}
