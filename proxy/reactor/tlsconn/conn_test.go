package tlsconn

import (
	"bytes"
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
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
)

const patience = 20 * time.Second

var _ net.Conn = (*transport)(nil)

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

// start runs a reactor with one loop until the end of the test.
func start(t *testing.T, serve func(*reactor.Conn) (keep bool)) (*reactor.Loop, netip.AddrPort) {
	t.Helper()
	r := reactortest.Start(t, 1)
	l := reactortest.Listen(t)
	if _, err := r.Listen(l, reactor.ListenOptions{Serve: serve}); err != nil {
		t.Fatal(err)
	}
	return r.Loops()[0], l.Addr().(*net.TCPAddr).AddrPort()
}

// serve runs a reactor with one loop until the end of the test, and serves TLS.
// The handshake is done when serve is called for the first time.
func serve(t *testing.T, config *tls.Config, serve func(*Conn) (keep bool)) (*reactor.Loop, netip.AddrPort) {
	t.Helper()
	return start(t, func(raw *reactor.Conn) bool {
		c, ok := raw.State.(*Conn)
		if !ok {
			c = Server(raw, config)
			raw.State = c
			if err := c.Handshake(); err != nil {
				t.Error(err)
				return false
			}
		}
		return serve(c)
	})
}

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}

// connect returns a TCP and a TLS connection in plain Go.
func connect(t *testing.T, addr netip.AddrPort, config *tls.Config) (*net.TCPConn, *tls.Conn) {
	t.Helper()
	raw, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(patience))
	return raw, tls.Client(raw, config)
}

func echo(c *Conn) bool {
	var b [1000]byte
	for {
		n, err := c.TryRead(b[:])
		if err != nil {
			return errors.Is(err, reactor.ErrWouldBlock)
		}
		if _, err := c.Write(b[:n]); err != nil {
			return false
		}
	}
}

func ask(c io.ReadWriter, message string) error {
	if _, err := io.WriteString(c, message); err != nil {
		return err
	}
	b := make([]byte, len(message))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != message {
		return fmt.Errorf("sent %q, got %q, %w", message, b, err)
	}
	return nil
}

func TestConnectionsAreParkedBetweenRequests(t *testing.T) {
	serverConfig, clientConfig := certificate(t)
	turns := make(chan bool, 1000)
	l, addr := serve(t, serverConfig, func(c *Conn) bool {
		turns <- true
		return echo(c)
	})
	_, c := connect(t, addr, clientConfig)
	for i := range 20 {
		if err := ask(c, fmt.Sprint("request ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(turns); n < 20 {
		t.Errorf("the handler ran %d times for 20 requests", n)
	}
	// The same with a client on the loop.
	done := make(chan error, 1)
	l.Post(func() {
		l.Go(func() {
			done <- func() error {
				raw, err := l.Dial(addr, reactor.DialOptions{})
				if err != nil {
					return err
				}
				c := Client(raw, clientConfig)
				defer c.Close()
				if err := c.Handshake(); err != nil {
					return err
				}
				if v := c.State().Version; v != tls.VersionTLS13 {
					return fmt.Errorf("version %x", v)
				}
				return errors.Join(ask(c, "one"), ask(c, "two"))
			}()
		})
	})
	if err := receive(t, "the client on the loop", done); err != nil {
		t.Error(err)
	}
}

// pendingBytes returns how much of what was written has not been acknowledged.
func pendingBytes(c *reactor.Conn) (n int, err error) {
	err = c.Control(func(fd int) error {
		n, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		return err
	})
	return n, err
}

func TestMuchGoesBothWaysAtOnce(t *testing.T) {
	serverConfig, clientConfig := certificate(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB
	served := make(chan bool, 1)
	_, addr := serve(t, serverConfig, func(c *Conn) bool {
		defer func() { served <- true }()
		l := c.Raw().Loop()
		writing := l.Go(func() {
			if n, err := c.Write(data); err != nil || n != len(data) {
				t.Errorf("server wrote %d, %v", n, err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Errorf("server: %v", err)
			}
		})
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data) {
			t.Errorf("server read %d bytes, %v", len(got), err)
		}
		writing.Wait()
		return false
	})
	_, c := connect(t, addr, clientConfig)
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		written <- errors.Join(err, c.CloseWrite())
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data) {
		t.Errorf("client read %d bytes, %v", len(got), err)
	}
	if err := receive(t, "the client's write", written); err != nil {
		t.Error(err)
	}
	receive(t, "the server", served)
}

// The server's writer waits for a client that reads nothing and sends a record
// that is worth an alert: the reader takes the lock of the writer. The loop must
// go on.
func TestARecordThatMustBeAnsweredDoesNotStopTheLoop(t *testing.T) {
	serverConfig, clientConfig := certificate(t)
	reading := make(chan error, 1)
	stuck := make(chan bool, 1)
	echoing := map[*Conn]bool{}
	_, addr := serve(t, serverConfig, func(c *Conn) bool {
		if echoing[c] {
			return echo(c)
		}
		l := c.Raw().Loop()
		var b [1]byte
		if _, err := c.Read(b[:]); err != nil || b[0] == 'e' {
			echoing[c] = true
			return err == nil && echo(c)
		}
		writing := l.Go(func() {
			c.Write(make([]byte, 64<<20))
		})
		l.Go(func() {
			for {
				before, _ := pendingBytes(c.Raw())
				l.Sleep(50 * time.Millisecond)
				if after, _ := pendingBytes(c.Raw()); before == after && after > 0 {
					break
				}
			}
			stuck <- true
		})
		_, err := c.Read(b[:])
		reading <- err
		c.Raw().Abort()
		writing.Wait()
		return false
	})
	_, healthy := connect(t, addr, clientConfig)
	if _, err := healthy.Write([]byte("e")); err != nil {
		t.Fatal(err)
	}
	raw, hostile := connect(t, addr, clientConfig)
	if _, err := hostile.Write([]byte("h")); err != nil {
		t.Fatal(err)
	}
	receive(t, "a writer that waits", stuck)
	record := append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...)
	if _, err := raw.Write(record); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "the end of the read", reading); err == nil {
		t.Error("a forged record was accepted")
	}
	if err := ask(healthy, "are you there?"); err != nil {
		t.Errorf("the loop stands still: %v", err)
	}
}
