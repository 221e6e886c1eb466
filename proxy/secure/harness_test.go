package secure

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// site is a listener, and the files that it names.
type site struct {
	proxy.Listener
	files proxy.Files
}

func newSite(name string) *site {
	return &site{
		Listener: proxy.Listener{Name: name, Protocol: proxy.HTTP, TLS: &proxy.ListenerTLS{}},
		files:    proxy.Files{},
	}
}

// show adds a certificate.
func (s *site) show(name string, p securetest.Pair) *site {
	s.TLS.Certificates = append(s.TLS.Certificates, proxy.Certificate{Cert: name + ".pem", Key: name + ".key"})
	s.files[name+".pem"], s.files[name+".key"] = p.Cert, p.Key
	return s
}

// ask makes the clients show certificates of ca.
func (s *site) ask(auth proxy.ClientAuth, ca *securetest.Authority) *site {
	s.TLS.ClientAuth, s.TLS.ClientCA = auth, "clients.pem"
	s.files["clients.pem"] = ca.PEM()
	return s
}

// revoke has the listener look at a list.
func (s *site) revoke(list []byte) *site {
	s.TLS.ClientCRL = "revoked.pem"
	s.files["revoked.pem"] = list
	return s
}

func (s *site) terms(t *testing.T) *Terms {
	t.Helper()
	terms, err := Server(&s.Listener, s.files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return terms
}

// result is what came of a handshake.
type result struct {
	server, client       tls.ConnectionState
	serverErr, clientErr error
}

// shake has both sides speak with each other.
func shake(t *testing.T, server, client *tls.Config) (r result) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	for _, c := range []net.Conn{raw, accepted} {
		c.SetDeadline(time.Now().Add(20 * time.Second))
	}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		s := tls.Server(accepted, server)
		if r.serverErr = s.Handshake(); r.serverErr == nil {
			r.server = s.ConnectionState()
			s.Write([]byte("x"))
		}
		s.CloseWrite()
	}()
	c := tls.Client(raw, client)
	if r.clientErr = c.Handshake(); r.clientErr == nil {
		// Of TLS 1.3, what the server thinks of it comes later, and so do the tickets.
		if n, err := c.Read(make([]byte, 1)); n == 0 {
			r.clientErr = err
		}
		r.client = c.ConnectionState()
	}
	c.Close()
	<-ended
	return r
}

// trusting is a client that trusts ca, and asks for name.
func trusting(ca *securetest.Authority, name string) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), ServerName: name, InsecureSkipVerify: name == ""}
}

func leafOf(s tls.ConnectionState) *x509.Certificate {
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	return s.PeerCertificates[0]
}
