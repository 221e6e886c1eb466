package metrics

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tandemlb/tandem/internal/gate"
)

func fetch(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// free returns an address of loopback that nobody listens on.
func free(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func move(t *testing.T, e *Endpoint, to netip.AddrPort) {
	t.Helper()
	m, err := e.Prepare(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	e.Use(m)
}

func TestEndpointMoves(t *testing.T) {
	e := NewEndpoint(Handler(full(), zap.NewNop()), zap.NewNop())
	defer e.Close()
	move(t, e, netip.AddrPort{})
	a, b := free(t), free(t)
	move(t, e, a)
	for _, test := range []struct {
		method, path string
		code         int
		has          string
	}{
		{"GET", "/metrics", 200, "tandem_node_fit 0\n"},
		{"GET", "/", 200, "/metrics"},
		{"GET", "/v1/status", 404, ""},
		{"POST", "/metrics", 405, ""},
	} {
		if code, body := fetch(t, test.method, "http://"+a.String()+test.path); code != test.code || !strings.Contains(body, test.has) {
			t.Errorf("%s %s: %d %.200s", test.method, test.path, code, body)
		}
	}
	move(t, e, a) // which changes nothing
	if code, body := fetch(t, "GET", "http://"+a.String()+"/"); code != 200 {
		t.Errorf("at the same address: %d %s", code, body)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := e.Prepare(t.Context(), taken.Addr().(*net.TCPAddr).AddrPort()); err == nil || !strings.Contains(err.Error(), "open metrics.listen: ") {
		t.Errorf("an address that is taken: %v", err)
	}
	given, err := e.Prepare(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	e.Discard(given)
	if code, _ := fetch(t, "GET", "http://"+b.String()+"/"); code != 0 {
		t.Errorf("a move that was given up is served: %d", code)
	}
	if code, body := fetch(t, "GET", "http://"+a.String()+"/"); code != 200 {
		t.Errorf("after moves that did not take place: %d %s", code, body)
	}

	move(t, e, b)
	if code, body := fetch(t, "GET", "http://"+b.String()+"/metrics"); code != 200 {
		t.Errorf("at the new address: %d %s", code, body)
	}
	if code, _ := fetch(t, "GET", "http://"+a.String()+"/"); code != 0 {
		t.Errorf("the old address answers: %d", code)
	}
	t.Log("# an address that overlaps")
	every := netip.AddrPortFrom(netip.IPv4Unspecified(), b.Port())
	given, err = e.Prepare(t.Context(), every)
	if err != nil {
		t.Fatal(err)
	}
	e.Discard(given)
	if code, body := fetch(t, "GET", "http://"+b.String()+"/"); code != 200 {
		t.Errorf("after a move that did not take place: %d %s", code, body)
	}
	elsewhere := "http://127.0.0.2:" + strconv.Itoa(int(b.Port())) + "/"
	move(t, e, every)
	if code, body := fetch(t, "GET", elsewhere); code != 200 {
		t.Errorf("at every address: %d %s", code, body)
	}
	move(t, e, b)
	if code, _ := fetch(t, "GET", elsewhere); code != 0 {
		t.Errorf("another address than the new one answers: %d", code)
	}
	if code, body := fetch(t, "GET", "http://"+b.String()+"/"); code != 200 {
		t.Errorf("at one address again: %d %s", code, body)
	}

	move(t, e, netip.AddrPort{})
	if code, _ := fetch(t, "GET", "http://"+b.String()+"/"); code != 0 {
		t.Errorf("the address that was given up answers: %d", code)
	}
}

func TestConnectionsForMetricsAreBounded(t *testing.T) {
	core, logged := observer.New(zap.InfoLevel)
	e := NewEndpoint(Handler(full(), zap.NewNop()), zap.New(core))
	defer e.Close()
	a := free(t)
	move(t, e, a)
	for range gate.MaxPerCaller {
		c, err := net.Dial("tcp", a.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if code, body := fetch(t, "GET", "http://"+a.String()+"/"); code != 0 {
		t.Errorf("one more is answered: %d %s", code, body)
	}
	if n := logged.FilterMessage("metrics: too many connections").Len(); n != 1 {
		t.Errorf("%d lines tell of it", n)
	}
}
