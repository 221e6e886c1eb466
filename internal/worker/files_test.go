package worker

import (
	"crypto/tls"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// refresh sends changed files in a new generation and returns the worker's error.
func (s *supervisor) refresh(t testing.TB, files proxy.Files) string {
	t.Helper()
	s.generation++
	s.send(t, ipc.ToWorker{Files: &ipc.Files{Generation: s.generation, Files: files}})
	a := await(t, s.applied)
	if a.Generation != s.generation {
		t.Fatalf("answer to generation %d, want %d", a.Generation, s.generation)
	}
	return a.Error
}

func TestTakesChangedFiles(t *testing.T) {
	ca, other := securetest.New(t, "Root"), securetest.New(t, "Other")
	web := httptest.NewUnstartedServer(says("hello"))
	web.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, securetest.Leaf{Names: []string{"127.0.0.1"}}).Certificate(t)}}
	web.StartTLS()
	t.Cleanup(web.Close)

	s := startWorker(t)
	if err := s.refresh(t, proxy.Files{"ca.pem": nil}); err != "" {
		t.Errorf("files before a config are refused: %s", err)
	}
	pool := newSpecPool("web", netip.MustParseAddrPort(web.Listener.Addr().String()))
	pool.Check = proxy.Check{Kind: proxy.CheckTCP, Every: 10 * time.Millisecond, Timeout: patience, Rise: 1, Fall: 1}
	pool.TLS = &proxy.PoolTLS{CA: "ca.pem", MinVersion: proxy.TLS12}
	bind := s.bind(t, "web")
	spec := proxy.Spec{Listeners: []proxy.Listener{newSpecListener("web", proxy.HTTP, "web", bind)}, Pools: pools(pool)}
	if err := s.configure(t, ipc.WorkerConfig{Spec: spec, Files: proxy.Files{"ca.pem": other.PEM()}}); err != "" {
		t.Fatal(err)
	}
	health := func(want string) {
		t.Helper()
		s.until(t, func(st ipc.WorkerState) bool { return len(st.Pools) == 1 && st.Pools[0].Servers[0].Health == want })
	}
	health("down")
	if err := s.refresh(t, proxy.Files{"ca.pem": []byte("nothing")}); !strings.Contains(err, "ca.pem") {
		t.Errorf("bad files are answered with %q, want the name of the file", err)
	}
	if err := s.refresh(t, proxy.Files{"ca.pem": ca.PEM()}); err != "" {
		t.Fatal(err)
	}
	health("up")
	if err := s.configure(t, ipc.WorkerConfig{Spec: spec, FilesKept: true}); err != "" {
		t.Errorf("a config with the files as they are is refused: %s", err)
	}
	health("up")
	if err := s.refresh(t, proxy.Files{"ca.pem": other.PEM()}); err != "" {
		t.Fatal(err)
	}
	health("down")
}
