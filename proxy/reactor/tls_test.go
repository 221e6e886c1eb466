package reactor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

// certificate returns configurations of a server and of its clients.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

// readiness is a connection for tls.Server that waits within a record and a
// handshake, and not between two requests.
type readiness struct {
	*Conn
	wait bool
}

func (r *readiness) Read(b []byte) (int, error) {
	if r.wait {
		return r.Conn.Read(b)
	}
	return r.TryRead(b)
}

func TestTLSConnectionsAreParkedBetweenRequests(t *testing.T) {
	serverConfig, clientConfig := certificate(t)
	r := start(t, 2)
	served := make(chan int, 1000)
	ln, addr := r.listen(t, ListenOptions{Serve: func(c *Conn) bool {
		type session struct {
			raw *readiness
			*tls.Conn
			times int
		}
		s, ok := c.State.(*session)
		if !ok {
			raw := &readiness{Conn: c}
			s = &session{raw: raw, Conn: tls.Server(raw, serverConfig)}
			c.State = s
			raw.wait = true
			if err := s.Handshake(); err != nil {
				t.Errorf("handshake: %v", err)
				return false
			}
			raw.wait = false
		}
		s.times++
		var b [1000]byte
		for {
			n, err := s.Read(b[:])
			if err != nil {
				served <- s.times
				return errors.Is(err, ErrWouldBlock)
			}
			if _, err := s.Write(b[:n]); err != nil {
				return false
			}
		}
	}})
	for _, l := range r.Loops() {
		do(t, l, func() error {
			c, err := l.Dial(addr, DialOptions{})
			if err != nil {
				return err
			}
			client := tls.Client(c, clientConfig)
			defer client.Close()
			for i := range 10 {
				if err := ask(client, fmt.Sprintf("request %d over TLS", i)); err != nil {
					return err
				}
				l.Sleep(1) // the server parks
			}
			return nil
		})
	}
	c := tls.Client(connectTo(t, addr), clientConfig)
	for i := range 5 {
		if err := ask(c, fmt.Sprintf("request %d of a client elsewhere", i)); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	until(t, "all connections are closed", func() bool { return ln.Open() == 0 })
	most := 0
	for range len(served) {
		most = max(most, <-served)
	}
	if most < 10 {
		t.Errorf("a handler ran at most %d times for 10 requests: it was never parked", most)
	}
}

func TestTLSCarriesMuchInBothDirections(t *testing.T) {
	serverConfig, clientConfig := certificate(t)
	r := start(t, 2)
	_, addr := r.listen(t, ListenOptions{Serve: func(c *Conn) bool {
		s := tls.Server(c, serverConfig)
		if _, err := io.Copy(struct{ io.Writer }{s}, s); err != nil {
			t.Errorf("server: %v", err)
		}
		if err := s.CloseWrite(); err != nil {
			t.Errorf("server: %v", err)
		}
		return false
	}})
	l := r.Loops()[1]
	data := pattern(8 << 20)
	do(t, l, func() error {
		c, err := l.Dial(addr, DialOptions{})
		if err != nil {
			return err
		}
		client := tls.Client(c, clientConfig)
		defer client.Close()
		if err := client.Handshake(); err != nil {
			return err
		}
		var failure error
		writing := l.Go(func() {
			if _, failure = client.Write(data); failure == nil {
				failure = client.CloseWrite()
			}
		})
		got, err := io.ReadAll(client)
		if err != nil {
			return err
		}
		if err := errors.Join(writing.Wait(), failure); err != nil {
			return err
		}
		if string(got) != string(data) {
			return fmt.Errorf("got %d bytes, not the %d that were sent", len(got), len(data))
		}
		return nil
	})
}
