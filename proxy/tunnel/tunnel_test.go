package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = 20 * time.Second

// bench makes tunnels on one loop.
type bench struct {
	clients, servers *net.TCPListener // what the two sides connect to
	dug              chan *Tunnel
	ends             chan End
}

func start(t *testing.T, silence time.Duration) *bench {
	t.Helper()
	return startLike(t, Tunnel{Silence: silence})
}

// startLike digs tunnels with the limits of one.
func startLike(t *testing.T, like Tunnel) *bench {
	t.Helper()
	loops := reactortest.Start(t, 1)
	if like.Scratch == nil {
		like.Scratch = make([]byte, ScratchSize)
	}
	b := &bench{clients: reactortest.Listen(t), servers: reactortest.Listen(t), dug: make(chan *Tunnel, 1000), ends: make(chan End, 1000)}
	server := b.servers.Addr().(*net.TCPAddr).AddrPort()
	if _, err := loops.Listen(b.clients, reactor.ListenOptions{AtOnce: true, Serve: func(c *reactor.Conn) bool {
		s, err := c.Loop().Dial(server, reactor.DialOptions{})
		if err != nil {
			t.Error(err)
			return false
		}
		tunnel := like
		tunnel.Client, tunnel.Server = tlsconn.Plain(c), tlsconn.Plain(s)
		b.dug <- &tunnel
		b.ends <- tunnel.Run()
		return false
	}}); err != nil {
		t.Fatal(err)
	}
	return b
}

// dig returns both ends of a new tunnel.
func (b *bench) dig(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	client, err := net.DialTCP("tcp", nil, b.clients.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	b.servers.SetDeadline(time.Now().Add(patience))
	if server, err = b.servers.AcceptTCP(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*net.TCPConn{client, server} {
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
	}
	return client, server
}

func (b *bench) ended(t *testing.T, want End) {
	t.Helper()
	select {
	case got := <-b.ends:
		if got != want {
			t.Errorf("the tunnel ended with %d, want %d", got, want)
		}
	case <-time.After(patience):
		t.Fatal("the tunnel does not end")
	}
}

// say sends text from one end to the other.
func say(t *testing.T, from, to *net.TCPConn, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatalf("heard %q, %v; want %q", got, err, text)
	}
}

// bothWays runs a test with either end in either part.
func bothWays(t *testing.T, silence time.Duration, f func(t *testing.T, b *bench, one, other *net.TCPConn)) {
	for name, swap := range map[string]bool{"client": false, "server": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, silence)
			one, other := b.dig(t)
			if swap {
				one, other = other, one
			}
			f(t, b, one, other)
		})
	}
}

func TestEachDirectionEndsByItself(t *testing.T) {
	bothWays(t, time.Minute, func(t *testing.T, b *bench, one, other *net.TCPConn) {
		say(t, one, other, "question")
		one.CloseWrite()
		if rest, err := io.ReadAll(other); err != nil || len(rest) != 0 {
			t.Errorf("after the end: %q, %v", rest, err)
		}
		say(t, other, one, "a long answer")
		other.CloseWrite()
		if rest, err := io.ReadAll(one); err != nil || len(rest) != 0 {
			t.Errorf("after the end: %q, %v", rest, err)
		}
		b.ended(t, Closed)
	})
}

func TestAResetReachesTheOtherSide(t *testing.T) {
	bothWays(t, time.Minute, func(t *testing.T, b *bench, one, other *net.TCPConn) {
		say(t, one, other, "hello")
		say(t, other, one, "hello")
		one.SetLinger(0)
		one.Close()
		if _, err := other.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the other side saw %v, want a reset", err)
		}
		b.ended(t, Broken)
	})
}

// One that answers early and goes away with unread bytes resets the connection; what
// it said must get through all the same.
func TestWhatCameBeforeAResetIsDelivered(t *testing.T) {
	const answer = "413 too much"
	bothWays(t, time.Minute, func(t *testing.T, b *bench, one, other *net.TCPConn) {
		var wg sync.WaitGroup
		wg.Go(func() {
			for chunk := make([]byte, 64<<10); ; {
				if _, err := other.Write(chunk); err != nil {
					return
				}
			}
		})
		if _, err := io.ReadFull(one, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		io.WriteString(one, answer)
		one.Close()
		got := make([]byte, len(answer))
		if _, err := io.ReadFull(other, got); err != nil || string(got) != answer {
			t.Errorf("heard %q, %v; want %q", got, err, answer)
		}
		wg.Wait()
		b.ended(t, Broken)
	})
}

func TestAServerThatWillNotHaveAClientIsTold(t *testing.T) {
	reset := func(c *net.TCPConn) {
		c.SetLinger(0)
		c.Close()
	}
	for name, tc := range map[string]struct {
		play func(t *testing.T, client, server *net.TCPConn)
		want End
	}{
		"at once": {func(_ *testing.T, _, server *net.TCPConn) { reset(server) }, Unanswered},
		"after the question": {func(t *testing.T, client, server *net.TCPConn) {
			say(t, client, server, "question")
			reset(server)
		}, Unanswered},
		"after an answer": {func(t *testing.T, client, server *net.TCPConn) {
			say(t, server, client, "answer")
			reset(server)
		}, Broken},
		"it is the client who leaves": {func(t *testing.T, client, server *net.TCPConn) {
			say(t, client, server, "question")
			reset(client)
		}, Broken},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, time.Minute)
			client, server := b.dig(t)
			<-b.dug // else a reset would end the connect
			tc.play(t, client, server)
			b.ended(t, tc.want)
		})
	}
}

func TestATunnelCanBeAborted(t *testing.T) {
	b := start(t, 0)
	client, server := b.dig(t)
	say(t, client, server, "hello")
	tunnel := <-b.dug
	if err := tunnel.Client.Loop().Post(tunnel.Abort); err != nil {
		t.Fatal(err)
	}
	b.ended(t, Aborted)
	for side, c := range map[string]*net.TCPConn{"client": client, "server": server} {
		if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the %s saw %v, want a reset", side, err)
		}
	}
}

func TestAHalfClosedTunnelMayBeSilentForLess(t *testing.T) {
	const most = time.Second
	for name, silence := range map[string]time.Duration{"than a minute": time.Minute, "than for ever": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startLike(t, Tunnel{Silence: silence, HalfClosed: most})
			a, c := b.dig(t)
			say(t, a, c, "hello")

			one, other := b.dig(t)
			say(t, one, other, "question")
			one.CloseWrite()
			io.ReadAll(other)
			tick := time.NewTicker(most / 40)
			defer tick.Stop()
			for began := time.Now(); time.Since(began) < 2*most; <-tick.C { // an answer takes as long as it will
				say(t, other, one, ".")
			}
			b.ended(t, Silent)
			say(t, a, c, "the other tunnel is open in both directions, and so it stays")
			if _, err := io.Copy(io.Discard, one); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the side that had finished saw %v, want a reset", err)
			}
		})
	}
}

func TestSilenceEndsATunnel(t *testing.T) {
	const silence = 150 * time.Millisecond
	for name, busy := range map[string]func(t *testing.T, client, server *net.TCPConn){
		"from the beginning": func(*testing.T, *net.TCPConn, *net.TCPConn) {},
		"after some words": func(t *testing.T, client, server *net.TCPConn) {
			say(t, client, server, "ping")
			say(t, server, client, "pong")
		},
		"after the end of one direction": func(t *testing.T, client, server *net.TCPConn) {
			say(t, client, server, "ping")
			client.CloseWrite()
			io.ReadAll(server)
		},
		"while neither takes what is said": func(_ *testing.T, client, server *net.TCPConn) {
			var wg sync.WaitGroup
			for _, c := range []*net.TCPConn{client, server} {
				wg.Go(func() {
					for chunk := make([]byte, 1<<20); ; {
						if _, err := c.Write(chunk); err != nil {
							return
						}
					}
				})
			}
			wg.Wait() // for the reset
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, silence)
			began := time.Now()
			client, server := b.dig(t)
			busy(t, client, server)
			b.ended(t, Silent)
			if took := time.Since(began); took < silence {
				t.Errorf("it ended after %v already", took)
			}
			for side, c := range map[string]*net.TCPConn{"client": client, "server": server} {
				if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the %s saw %v, want a reset", side, err)
				}
			}
		})
	}
}

func TestOneSideThatSpeaksKeepsATunnel(t *testing.T) {
	const silence = time.Second
	bothWays(t, silence, func(t *testing.T, b *bench, one, other *net.TCPConn) {
		tick := time.NewTicker(silence / 40)
		defer tick.Stop()
		for began := time.Now(); time.Since(began) < 2*silence; <-tick.C {
			say(t, one, other, ".")
		}
		say(t, other, one, "the other speaks, too")
		one.Close()
		other.Close()
		b.ended(t, Closed)
	})
}

// What is written to a side that takes it slowly waits for longer than the silence in
// all, which is no silence; and nothing of it is lost.
func TestASlowReaderGetsAll(t *testing.T) {
	const silence = time.Second
	bothWays(t, silence, func(t *testing.T, b *bench, one, other *net.TCPConn) {
		want := make([]byte, 24<<20)
		rand.NewChaCha8([32]byte{1}).Read(want)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := one.Write(want); err != nil {
				t.Errorf("send: %v", err)
			}
			one.CloseWrite()
		})
		other.SetReadBuffer(64 << 10)
		tick := time.NewTicker(silence / 30)
		defer tick.Stop()
		got := make([]byte, 0, len(want))
		for part := make([]byte, 256<<10); ; <-tick.C {
			n, err := io.ReadFull(other, part)
			got = append(got, part[:n]...)
			if err != nil {
				break
			}
		}
		wg.Wait()
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes came of %d, the same: false", len(got), len(want))
		}
		other.Close()
		b.ended(t, Closed)
	})
}

// pipes counts the descriptors of this process that are pipes.
func pipes(t *testing.T) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

func TestIdleTunnelsHoldNoPipes(t *testing.T) {
	const tunnels, kept = 200, 32                // by a loop, for the next that has something to move
	b := startLike(t, Tunnel{Scratch: []byte{}}) // all goes through pipes
	before := pipes(t)
	var clients, servers []*net.TCPConn
	for range tunnels {
		c, s := b.dig(t)
		clients, servers = append(clients, c), append(servers, s)
	}
	if n := pipes(t) - before; n != 0 {
		t.Errorf("%d silent tunnels hold %d descriptors of pipes", tunnels, n)
	}
	for i := range tunnels {
		say(t, clients[i], servers[i], "ping")
		say(t, servers[i], clients[i], "pong")
	}
	if n := pipes(t) - before; n > 2*kept {
		t.Errorf("%d tunnels that have spoken hold %d descriptors of pipes", tunnels, n)
	}
}

// The host runs out of descriptors: what is to be moved waits for one.
func TestATunnelWaitsForAPipe(t *testing.T) {
	b := startLike(t, Tunnel{Silence: time.Minute, Scratch: []byte{}}) // none
	client, server := b.dig(t)

	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lowest, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(lowest)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(lowest), Max: limit.Max}); err != nil {
		t.Skip(err)
	}
	restore := sync.OnceFunc(func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) })
	defer restore()

	io.WriteString(client, "question")
	server.SetReadDeadline(time.Now().Add(5 * pipeRest))
	if n, err := server.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("without a pipe the server heard %d bytes, %v", n, err)
	}
	restore()
	server.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len("question"))
	if _, err := io.ReadFull(server, got); err != nil || string(got) != "question" {
		t.Errorf("heard %q, %v", got, err)
	}
	say(t, server, client, "answer")
}

// A peer that has vanished is asked for by the kernel, on both sides.
func TestVanishedPeersAreAskedFor(t *testing.T) {
	b := start(t, 0)
	client, server := b.dig(t)
	say(t, client, server, "hello")
	say(t, server, client, "hello")
	toClient := fmt.Sprintf(":%04X ", b.clients.Addr().(*net.TCPAddr).Port)
	toServer := fmt.Sprintf(":%04X ", b.servers.Addr().(*net.TCPAddr).Port)
	deadline := time.Now().Add(patience)
	for {
		text, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 6 || f[3] != "01" { // established
				continue
			}
			ours := strings.HasSuffix(f[1]+" ", toClient) || strings.HasSuffix(f[2]+" ", toServer)
			if ours && strings.HasPrefix(f[5], "02:") { // the keep-alive timer runs
				asked++
			}
		}
		if asked == 2 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of the two connections have a keep-alive timer", asked)
		}
	}
}
