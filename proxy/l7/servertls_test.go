package l7

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/secure"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// trust is an authority, and what a pool of servers needs to know of it.
type trust struct {
	*securetest.Authority
	spec  proxy.PoolTLS
	files proxy.Files
}

func newTrust(t testing.TB) trust {
	ca := securetest.New(t, "ca")
	own := ca.Issue(t, securetest.Leaf{Subject: "lb"})
	return trust{ca, proxy.PoolTLS{CA: "ca.pem"}, proxy.Files{"ca.pem": ca.PEM(), "lb.pem": own.Cert, "lb.key": own.Key}}
}

// shows makes the pool show a certificate.
func (tr trust) shows() trust {
	tr.spec.Cert, tr.spec.Key = "lb.pem", "lb.key"
	return tr
}

func (tr trust) identity(t testing.TB) *secure.Identity {
	t.Helper()
	id, err := secure.Client(&tr.spec, tr.files)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// server returns what a server goes by whose certificate has names.
func (tr trust) server(t testing.TB, names ...string) *tls.Config {
	t.Helper()
	pair := tr.Issue(t, securetest.Leaf{Names: names}).Certificate(t)
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

// secureServer runs an HTTP server over TLS.
func secureServer(t testing.TB, config *tls.Config, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = config
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// rawSecureServer runs handle for each connection to a server that speaks TLS.
func rawSecureServer(t testing.TB, config *tls.Config, handle func(c *tls.Conn, r *bufio.Reader)) string {
	return rawServer(t, func(raw *net.TCPConn, r *bufio.Reader) {
		c := tls.Server(raw, config)
		if c.Handshake() == nil {
			handle(c, bufio.NewReader(c))
		}
	})
}

// startSecure serves a pool over TLS.
func startSecure(t testing.TB, tr trust, p *upstream.Pool) *running {
	t.Helper()
	r := startWith(t, generous(), p)
	r.use(t, backend.New(r.engine.reactor.Loops(), p, nil, backend.Options{Identity: tr.identity(t)}))
	return r
}

func TestServersAreSpokenToOverTLS(t *testing.T) {
	tr := newTrust(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			var ends sync.Map
			config := tr.server(t, "127.0.0.1")
			config.MaxVersion = version
			address := secureServer(t, config, func(w http.ResponseWriter, r *http.Request) {
				ends.Store(r.RemoteAddr, true)
				if r.TLS == nil || r.TLS.ServerName != "" || r.TLS.NegotiatedProtocol != "http/1.1" || r.TLS.Version != version {
					t.Errorf("TLS: %+v", r.TLS)
				}
				b, _ := io.ReadAll(r.Body)
				w.Write(b)
			})
			r := startSecure(t, tr, pool(t, address))
			c := r.dial(t)
			for i := range 5 {
				text := strings.Repeat(fmt.Sprint("request ", i), 1+i*10_000)
				c.send(t, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
				if got := body(t, c.response(t, http.MethodPost)); got != text {
					t.Errorf("got %d bytes, want %d", len(got), len(text))
				}
			}
			n := 0
			ends.Range(func(any, any) bool { n++; return true })
			if n != 1 {
				t.Errorf("%d connections to the server, want that one is kept", n)
			}
			if st := r.server(0); st.Health != upstream.Up || st.Reason != "connected" || st.Failed != 0 {
				t.Errorf("the server is %v, %q, %d failures", st.Health, st.Reason, st.Failed)
			}
		})
	}
}

func TestServersAreAskedForByName(t *testing.T) {
	tr := newTrust(t)
	asked := make(chan string, 1)
	config := tr.server(t, "web.internal", "found.example")
	address := secureServer(t, config, func(_ http.ResponseWriter, r *http.Request) { asked <- r.TLS.ServerName })
	for name, change := range map[string]func(*proxy.Pool, *proxy.PoolTLS){
		"web.internal":  func(_ *proxy.Pool, p *proxy.PoolTLS) { p.ServerName = "web.internal" },
		"found.example": func(p *proxy.Pool, _ *proxy.PoolTLS) { p.Servers[0].Host = "found.example:443" },
	} {
		tr := tr
		p := newPool(t, with(t, func(p *proxy.Pool) { change(p, &tr.spec) }, address), nil)
		r := startSecure(t, tr, p)
		if res := get(t, r.url("/")); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s: %s", name, res.Status, r.server(0).Reason)
			continue
		}
		if got := <-asked; got != name {
			t.Errorf("asked for %q, want %q", got, name)
		}
	}
}

// What is wrong with a server is in its status, and another one gets the request.
func TestHandshakesThatFailAreConnectsThatFail(t *testing.T) {
	tr, other := newTrust(t), newTrust(t)
	asks := tr.server(t, "127.0.0.1")
	asks.ClientAuth, asks.ClientCAs = tls.RequireAndVerifyClientCert, tr.Pool()
	asks12 := asks.Clone()
	asks12.MaxVersion = tls.VersionTLS12
	old := tr.server(t, "127.0.0.1")
	old.MaxVersion = tls.VersionTLS12
	expired := tr.Issue(t, securetest.Leaf{Names: []string{"127.0.0.1"}, NotAfter: time.Now().Add(-time.Minute)})
	ok := func(http.ResponseWriter, *http.Request) {}
	strict := tr
	strict.spec.MinVersion = proxy.TLS13
	for name, tt := range map[string]struct {
		pool   trust
		server string
		want   string
	}{
		"unknown authority": {tr, secureServer(t, other.server(t, "127.0.0.1"), ok), "TLS: certificate signed by unknown authority"},
		"wrong name":        {tr, secureServer(t, tr.server(t, "127.0.0.2"), ok), "TLS: certificate is valid for 127.0.0.2, not 127.0.0.1"},
		"expired": {
			tr, secureServer(t, &tls.Config{Certificates: []tls.Certificate{expired.Certificate(t)}}, ok),
			"TLS: certificate has expired or is not yet valid: ",
		},
		"no certificate to show":          {tr, secureServer(t, asks, ok), "TLS: the server refuses: certificate required"},
		"no certificate to show, TLS 1.2": {tr, secureServer(t, asks12, ok), "TLS: the server refuses: "},
		"another's certificate":           {other.trusting(tr).shows(), secureServer(t, asks, ok), "TLS: the server refuses: "},
		"too old":                         {strict, secureServer(t, old, ok), "TLS: "},
		"plain":                           {tr, webServer(t, ok), "TLS: what the server answers is not TLS"},
		"it hangs up":                     {tr, rawServer(t, func(*net.TCPConn, *bufio.Reader) {}), "TLS: "},
		"it only listens":                 {tr, rawServer(t, func(_ *net.TCPConn, r *bufio.Reader) { io.Copy(io.Discard, r) }), "TLS: no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			config := tr.server(t, "127.0.0.1")
			good := secureServer(t, config, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
			if tt.pool.Authority == other.Authority {
				good = secureServer(t, tr.server(t, "127.0.0.1"), func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
			}
			p := newPool(t, with(t, func(p *proxy.Pool) {
				p.Timeouts.Connect = 200 * time.Millisecond
			}, tt.server, good), nil)
			r := startSecure(t, tt.pool, p)
			for range 8 { // in turn, until it is set aside
				if got := r.ask(t, "what a server may not be told twice"); got != "200 what a server may not be told twice" {
					t.Errorf("got %q", got)
				}
			}
			st := r.server(0)
			if st.Failed == 0 || !strings.HasPrefix(st.Reason, tt.want) || st.Health != upstream.Down {
				t.Errorf("the server is %v, %q, after %d failures; want %q", st.Health, st.Reason, st.Failed, tt.want)
			}
			if st := r.server(1); st.Health != upstream.Up || st.Failed != 0 {
				t.Errorf("the good server is %v, %q, after %d failures", st.Health, st.Reason, st.Failed)
			}
		})
	}
}

// trusting makes what is shown that of tr, and what is believed that of other.
func (tr trust) trusting(other trust) trust {
	files := proxy.Files{}
	for path, text := range tr.files {
		files[path] = text
	}
	files["ca.pem"] = other.files["ca.pem"]
	tr.files = files
	return tr
}

// ask posts a text, and returns the status and the body of the answer.
func (r *running) ask(t testing.TB, text string) string {
	t.Helper()
	res, err := client(t).Post(r.url("/"), "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return fmt.Sprint(res.StatusCode, " ", body(t, res))
}

// A header of the PROXY protocol is for whoever passes the connection on, and so it is
// not encrypted.
func TestTheClientIsNamedBeforeTLS(t *testing.T) {
	tr := newTrust(t)
	config := tr.server(t, "127.0.0.1")
	headers := make(chan string, 10)
	address := rawServer(t, func(raw *net.TCPConn, r *bufio.Reader) {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		headers <- line
		c := tls.Server(buffered{raw, r}, config)
		in := bufio.NewReader(c)
		for {
			if _, err := readHead(in); err != nil {
				return
			}
			io.WriteString(c, fine)
		}
	})
	r := startSecure(t, tr, newPool(t, with(t, func(p *proxy.Pool) { p.SendProxy = proxy.ProxyV1 }, address), nil))
	c := r.dial(t)
	for range 2 {
		c.send(t, get1)
		if got := body(t, c.response(t, http.MethodGet)); got != "fine" {
			t.Errorf("body = %q", got)
		}
		local := c.LocalAddr().(*net.TCPAddr)
		want := fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n", local.Port, r.l.Addr().(*net.TCPAddr).Port)
		if got := <-headers; got != want {
			t.Errorf("header = %q, want %q", got, want)
		}
	}
}

// buffered is a connection of which something has been read ahead.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// An end that TLS does not vouch for is none: anybody can cause it.
func TestAResponseEndsWithTLS(t *testing.T) {
	tr := newTrust(t)
	for name, whole := range map[string]bool{"announced": true, "cut": false} {
		t.Run(name, func(t *testing.T) {
			config := tr.server(t, "127.0.0.1")
			address := rawSecureServer(t, config, func(c *tls.Conn, r *bufio.Reader) {
				readHead(r)
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nall there is, or is it")
				if whole {
					c.CloseWrite()
				}
				c.NetConn().(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, r)
			})
			r := startSecure(t, tr, pool(t, address))
			res := get(t, r.url("/"))
			got, err := io.ReadAll(res.Body)
			if (err == nil) != whole || whole && string(got) != "all there is, or is it" {
				t.Errorf("got %q, %v", got, err)
			}
			if n := r.Traffic().Failed; (n == 0) != whole {
				t.Errorf("%d failures", n)
			}
		})
	}
}

// Who leaves while a server thinks over its part of a handshake is not waited for, and
// says nothing of the server.
func TestClientLeavesDuringAHandshake(t *testing.T) {
	tr := newTrust(t)
	begun, gone := make(chan bool, 1), make(chan bool, 1)
	address := rawServer(t, func(_ *net.TCPConn, r *bufio.Reader) {
		r.ReadByte()
		begun <- true
		io.Copy(io.Discard, r)
		gone <- true
	})
	r := startSecure(t, tr, pool(t, address))
	c := r.dial(t)
	c.send(t, get1)
	<-begun
	c.Close()
	<-gone
	r.settle(t)
	if st := r.server(0); st.Failed != 0 || st.Health != upstream.Unknown || st.Active != 0 {
		t.Errorf("the server is %v, %q, after %d failures", st.Health, st.Reason, st.Failed)
	}
}
