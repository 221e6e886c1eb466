package tunnel

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// end is one end of a tunnel, as its user sees it.
type end interface {
	net.Conn
	CloseWrite() error
}

// digSecure returns both ends of a new tunnel, whose sides speak TLS or not, and the
// connections of TCP below.
func digSecure(t *testing.T, clientTLS, serverTLS bool) (client, server end, rawClient, rawServer *net.TCPConn, ended chan End) {
	t.Helper()
	ca := securetest.New(t, "root")
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, securetest.Leaf{Names: []string{"a.example"}}).Certificate(t)}}
	trusting := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"}
	loops := reactortest.Start(t, 1)
	clients, servers := reactortest.Listen(t), reactortest.Listen(t)
	address := servers.Addr().(*net.TCPAddr).AddrPort()
	ended = make(chan End, 1)
	if _, err := loops.Listen(clients, reactor.ListenOptions{AtOnce: true, Serve: func(c *reactor.Conn) bool {
		s, err := c.Loop().Dial(address, reactor.DialOptions{})
		if err != nil {
			t.Error(err)
			return false
		}
		tunnel := &Tunnel{Client: tlsconn.Plain(c), Server: tlsconn.Plain(s), Scratch: make([]byte, ScratchSize), HalfClosed: time.Minute}
		for _, side := range []struct {
			stream *tlsconn.Stream
			secure bool
			tls    *tlsconn.Conn
		}{{&tunnel.Server, serverTLS, tlsconn.Client(s, trusting)}, {&tunnel.Client, clientTLS, tlsconn.Server(c, config)}} {
			if !side.secure {
				continue
			}
			if err := side.tls.Handshake(); err != nil {
				t.Error(err)
			}
			*side.stream = side.tls.Stream()
		}
		ended <- tunnel.Run()
		return false
	}}); err != nil {
		t.Fatal(err)
	}
	rawClient, err := net.DialTCP("tcp", nil, clients.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	if rawServer, err = servers.AcceptTCP(); err != nil {
		t.Fatal(err)
	}
	client, server = rawClient, rawServer
	for _, c := range []*net.TCPConn{rawClient, rawServer} {
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
	}
	if serverTLS {
		c := tls.Server(rawServer, config)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		server = c
	}
	if clientTLS {
		c := tls.Client(rawClient, trusting)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		client = c
	}
	return client, server, rawClient, rawServer, ended
}

var kinds = map[string][2]bool{"from clients": {true, false}, "to servers": {false, true}, "on both sides": {true, true}}

func TestTLSOnEitherSide(t *testing.T) {
	for name, secure := range kinds {
		t.Run(name, func(t *testing.T) {
			client, server, _, _, ended := digSecure(t, secure[0], secure[1])
			said := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
			sent := make(chan error, 2)
			for _, c := range []end{client, server} {
				go func() {
					_, err := c.Write(said)
					sent <- errors.Join(err, c.CloseWrite())
				}()
			}
			heard := make(chan []byte, 2)
			for _, c := range []end{client, server} {
				go func() {
					b, err := io.ReadAll(c)
					if err != nil {
						t.Error(err)
					}
					heard <- b
				}()
			}
			for range 2 {
				if err := <-sent; err != nil {
					t.Error(err)
				}
				if b := <-heard; !bytes.Equal(b, said) {
					t.Errorf("heard %d bytes, not the same", len(b))
				}
			}
			if got := <-ended; got != Closed {
				t.Errorf("it ended as %d", got)
			}
		})
	}
}

// One side may finish, and the other still speak.
func TestAHalfCloseOfTLS(t *testing.T) {
	for name, secure := range kinds {
		t.Run(name, func(t *testing.T) {
			client, server, _, _, ended := digSecure(t, secure[0], secure[1])
			if _, err := io.WriteString(client, "question"); err != nil {
				t.Fatal(err)
			}
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(server); string(b) != "question" || err != nil {
				t.Fatalf("the server got %q, %v", b, err)
			}
			if _, err := io.WriteString(server, "answer"); err != nil {
				t.Fatal(err)
			}
			server.Close()
			if b, err := io.ReadAll(client); string(b) != "answer" || err != nil {
				t.Errorf("the client got %q, %v", b, err)
			}
			if got := <-ended; got != Closed {
				t.Errorf("it ended as %d", got)
			}
		})
	}
}

// A connection of TLS that ends without a word may have been cut by anybody. Nobody
// must take that for the end of what was said.
func TestACutConnectionOfTLSIsAReset(t *testing.T) {
	for name, secure := range kinds {
		t.Run(name, func(t *testing.T) {
			client, server, rawClient, rawServer, ended := digSecure(t, secure[0], secure[1])
			whole, cut := server, rawClient
			if !secure[0] {
				whole, cut = client, rawServer
			}
			cut.CloseWrite()
			if _, err := io.ReadAll(whole); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset", err)
			}
			if got := <-ended; got != Broken {
				t.Errorf("it ended as %d", got)
			}
		})
	}
}

// A peer that takes nothing holds up the other, and no memory beyond a buffer.
func TestABackpressureOfTLS(t *testing.T) {
	client, server, _, _, _ := digSecure(t, true, true)
	client.SetWriteDeadline(time.Now().Add(time.Second))
	n, err := client.Write(make([]byte, 256<<20))
	if err == nil || n > 64<<20 {
		t.Errorf("%d bytes were taken, %v", n, err)
	}
	if _, err := io.ReadFull(server, make([]byte, 1<<20)); err != nil {
		t.Errorf("what was taken does not arrive: %v", err)
	}
}
