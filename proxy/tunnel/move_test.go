package tunnel

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
)

// Whatever the sizes of what is said, and whenever the listener listens: what arrives
// is what was said, in both directions at once.
func TestMessagesAndBulkArriveWhole(t *testing.T) {
	for name, sizes := range map[string][]int{
		"messages":            {1, 100, 1, 4000, 7},
		"around the scratch":  {ScratchSize - 1, 3, ScratchSize, 5, ScratchSize + 1, 1},
		"bulk after messages": {10, 20, 5 << 20, 10},
		"bulk at once":        {3 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, time.Minute)
			client, server := b.dig(t)
			// Little room, so that most writes have to wait in the middle.
			for _, c := range []*net.TCPConn{client, server} {
				if err := c.SetReadBuffer(64 << 10); err != nil {
					t.Fatal(err)
				}
			}
			r := rand.NewChaCha8([32]byte{1})
			var said bytes.Buffer
			var parts [][]byte
			for _, n := range sizes {
				part := make([]byte, n)
				_, _ = r.Read(part) // it never fails
				said.Write(part)
				parts = append(parts, part)
			}
			var wg sync.WaitGroup
			for _, pair := range [][2]*net.TCPConn{{client, server}, {server, client}} {
				wg.Go(func() {
					for _, part := range parts {
						if _, err := pair[0].Write(part); err != nil {
							t.Error(err)
						}
					}
					if err := pair[0].CloseWrite(); err != nil {
						t.Error(err)
					}
				})
				wg.Go(func() {
					heard, err := io.ReadAll(pair[1])
					if err != nil || !bytes.Equal(heard, said.Bytes()) {
						t.Errorf("heard %d bytes of %d, equal: %v, %v", len(heard), said.Len(), bytes.Equal(heard, said.Bytes()), err)
					}
				})
			}
			wg.Wait()
			b.ended(t, Closed)
		})
	}
}

// Tunnels of a loop share the scratch: what one has read while the other waits to write
// must not get in between.
func TestTunnelsDoNotMixTheirBytes(t *testing.T) {
	b := start(t, time.Minute)
	var wg sync.WaitGroup
	for i := range 8 {
		client, server := b.dig(t)
		if err := server.SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		said := bytes.Repeat([]byte{byte(i)}, 1<<20)
		wg.Go(func() {
			for rest := said; len(rest) > 0; rest = rest[min(9000, len(rest)):] {
				if _, err := client.Write(rest[:min(9000, len(rest))]); err != nil {
					t.Error(err)
					return
				}
			}
			client.Close()
		})
		wg.Go(func() {
			defer server.Close()
			heard, err := io.ReadAll(server)
			if err != nil || !bytes.Equal(heard, said) {
				t.Errorf("tunnel %d: heard %d bytes, equal: %v, %v", i, len(heard), bytes.Equal(heard, said), err)
			}
		})
	}
	wg.Wait()
}

// What is wrong with a side is told as an error of it: another is taken for the want of
// a pipe, which is worth a wait.
func TestErrorsOfMemoryAreThoseOfASide(t *testing.T) {
	for name, end := range map[string]func(*Tunnel){
		"to write": func(t *Tunnel) { _ = t.Server.Close() },
		"to read":  func(t *Tunnel) { _ = t.Client.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r := reactortest.Start(t, 1)
			servers, errs := reactortest.Listen(t), make(chan error, 1)
			clients := reactortest.Listen(t)
			_, err := r.Listen(clients, reactor.ListenOptions{Serve: func(c *reactor.Conn) bool {
				s, err := c.Loop().Dial(servers.Addr().(*net.TCPAddr).AddrPort(), reactor.DialOptions{})
				if err != nil {
					errs <- err
					return false
				}
				tunnel := &Tunnel{Client: tlsconn.Plain(c), Server: tlsconn.Plain(s), Scratch: make([]byte, ScratchSize)}
				end(tunnel)
				_, err = tunnel.pass(tunnel.Server, tunnel.Client)
				_, _ = c.Close(), s.Close() // one is closed already
				errs <- err
				return false
			}})
			if err != nil {
				t.Fatal(err)
			}
			c, err := net.Dial("tcp", clients.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			err = <-errs
			if _, of := errors.AsType[*net.OpError](err); !of {
				t.Errorf("%v, of type %T", err, err)
			}
		})
	}
}
