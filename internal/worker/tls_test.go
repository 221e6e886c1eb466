package worker

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// secured is a worker whose listeners speak TLS, one HTTP and one TCP.
type secured struct {
	*supervisor
	ca       *securetest.Authority
	spec     proxy.Spec
	files    proxy.Files
	web, raw netip.AddrPort
}

func startSecured(t *testing.T, ca *securetest.Authority) *secured {
	t.Helper()
	s := &secured{supervisor: startWorker(t), ca: ca, files: proxy.Files{}}
	s.renew(t)
	s.web, s.raw = s.bind(t, "web"), s.bind(t, "raw")
	web := newSpecListener("web", proxy.HTTP, "web", s.web)
	raw := newSpecListener("raw", proxy.TCP, "raw", s.raw)
	web.TLS = &proxy.ListenerTLS{Certificates: []proxy.Certificate{{Cert: "a.pem", Key: "a.key"}}}
	raw.TLS = web.TLS
	s.spec = proxy.Spec{
		Listeners: []proxy.Listener{web, raw},
		Pools:     pools(newSpecPool("web", webAddr(t)), newSpecPool("raw", echoes(t))),
	}
	return s
}

func webAddr(t *testing.T) netip.AddrPort { return web(t, says("hello")) }

// renew makes another certificate.
func (s *secured) renew(t *testing.T) {
	p := s.ca.Issue(t, securetest.Leaf{Names: []string{"a.example"}})
	s.files["a.pem"], s.files["a.key"] = p.Cert, p.Key
}

func (s *secured) use(t *testing.T) {
	t.Helper()
	if err := s.configure(t, ipc.WorkerConfig{Spec: s.spec, Files: s.files}); err != "" {
		t.Fatal(err)
	}
}

// shake returns a connection whose handshake is done.
func (s *secured) shake(t *testing.T, addr netip.AddrPort, config *tls.Config) *tls.Conn {
	t.Helper()
	c := tls.Client(connect(t, addr).TCPConn, config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *secured) client() *tls.Config {
	return &tls.Config{RootCAs: s.ca.Pool(), ServerName: "a.example", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
}

// get asks over a new connection, and returns what was negotiated.
func (s *secured) get(t *testing.T, config *tls.Config) tls.ConnectionState {
	t.Helper()
	c := s.shake(t, s.web, config)
	defer c.Close()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 200 ") {
		t.Fatalf("got %q, %v", line, err)
	}
	return c.ConnectionState()
}

func TestTLSIsTerminated(t *testing.T) {
	s := startSecured(t, securetest.New(t, "root"))
	s.use(t)
	c := s.client()
	s.get(t, c)
	if !s.get(t, c).DidResume {
		t.Error("the second connection does not resume")
	}
	raw := s.shake(t, s.raw, s.client())
	for _, text := range []string{"hello", strings.Repeat("x", 100_000)} {
		if _, err := raw.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(raw, got); err != nil || string(got) != text {
			t.Errorf("the echo is something else, %v", err)
		}
	}
	s.until(t, func(st ipc.WorkerState) bool {
		return len(st.Listeners) == 2 && st.Listeners[0].TLS.TLS13 == proxy.Handshakes{Full: 1, Resumed: 1} && st.Listeners[1].TLS.TLS13.Full == 1
	})
}

// A reload in which nothing has changed ends no session; a new certificate is shown at
// once, and connections that are open go on.
func TestAReloadOfTLS(t *testing.T) {
	s := startSecured(t, securetest.New(t, "root"))
	s.use(t)
	config := s.client()
	old := s.get(t, config).PeerCertificates[0]
	open := s.shake(t, s.raw, s.client())
	s.use(t)
	if !s.get(t, config).DidResume {
		t.Error("a reload has ended the sessions")
	}
	s.renew(t)
	if err := s.refresh(t, s.files); err != "" {
		t.Fatal(err)
	}
	if now := s.get(t, s.client()).PeerCertificates[0]; now.Equal(old) {
		t.Error("the old certificate is still shown")
	}
	if err := s.refresh(t, proxy.Files{"a.key": []byte("nothing")}); !strings.Contains(err, `listener "web": TLS:`) || !strings.Contains(err, `"a.key"`) {
		t.Errorf("a bad file is answered with %q", err)
	}
	s.get(t, s.client())
	if _, err := open.Write([]byte("there")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(open, b); err != nil || string(b) != "there" {
		t.Errorf("an open connection says %q, %v", b, err)
	}
}

// Two nodes with the same keys know each other's sessions, whenever the keys come.
func TestTicketsAreKnownToThePeer(t *testing.T) {
	ca := securetest.New(t, "root")
	keys := [][32]byte{{1}, {2}}
	one, other := startSecured(t, ca), startSecured(t, ca)
	one.send(t, ipc.ToWorker{Tickets: &ipc.Tickets{Keys: keys}})
	one.use(t)
	other.use(t)
	other.send(t, ipc.ToWorker{Tickets: &ipc.Tickets{Keys: [][32]byte{{2}, {1}}}})
	other.use(t) // it is answered behind the keys
	config := one.client()
	one.get(t, config)
	if !other.get(t, config).DidResume {
		t.Error("a session does not go on at the peer")
	}
}
