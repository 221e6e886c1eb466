package l4

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
	"github.com/tandemlb/tandem/proxy/upstream"
)

func TestBytesBothWays(t *testing.T) {
	const size = 8 << 20
	r := start(t, pool(t, backend(t, echo)))
	c := r.dial(t)
	sent := sha256.New()
	var wg sync.WaitGroup
	wg.Go(func() {
		source := io.LimitReader(rand.NewChaCha8([32]byte{1}), size)
		if _, err := io.Copy(c, io.TeeReader(source, sent)); err != nil {
			t.Errorf("send: %v", err)
		}
		c.CloseWrite()
	})
	got := sha256.New()
	n, err := io.Copy(got, c)
	wg.Wait()
	if err != nil || n != size || !cmp.Equal(got.Sum(nil), sent.Sum(nil)) {
		t.Errorf("echo of %d bytes: %d came back (%v), equal: %v", size, n, err, cmp.Equal(got.Sum(nil), sent.Sum(nil)))
	}
	want := proxy.Traffic{Accepted: 1}
	if diff := cmp.Diff(want, r.settle(t)); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
	status := r.server(0)
	if status.Active != 0 || status.Served != 1 || status.Health != upstream.Up {
		t.Errorf("status = %+v, want up with one connection served", status)
	}
}

func TestClientHalfCloses(t *testing.T) {
	r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
		request, err := io.ReadAll(c)
		fmt.Fprintf(c, "got %q, %v", request, err)
	})))
	c := r.dial(t)
	io.WriteString(c, "question")
	c.CloseWrite()
	got, err := io.ReadAll(c)
	if want := `got "question", <nil>`; err != nil || string(got) != want {
		t.Errorf("answer = %q, %v; want %q", got, err, want)
	}
}

func TestServerHalfCloses(t *testing.T) {
	heard := make(chan string, 1)
	r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
		io.WriteString(c, "hello")
		c.CloseWrite()
		rest, err := io.ReadAll(c)
		heard <- fmt.Sprintf("%s, %v", rest, err)
	})))
	c := r.dial(t)
	if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
		t.Fatalf("greeting = %q, %v", got, err)
	}
	io.WriteString(c, "and a long goodbye")
	c.CloseWrite()
	if got, want := <-heard, "and a long goodbye, <nil>"; got != want {
		t.Errorf("server heard %q, want %q", got, want)
	}
}

func TestClientResetReachesServer(t *testing.T) {
	heard := make(chan error, 1)
	r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
		io.WriteString(c, "x")
		_, err := io.Copy(io.Discard, c)
		heard <- err
	})))
	c := r.dial(t)
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	reset(c)
	if err := <-heard; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("server saw %v, want a reset", err)
	}
}

func TestServerResetReachesClient(t *testing.T) {
	tests := []struct {
		name   string
		handle func(c *net.TCPConn)
		client func(c *net.TCPConn)
	}{
		{"while both are idle", func(c *net.TCPConn) {
			io.ReadFull(c, make([]byte, 1))
			reset(c)
		}, func(*net.TCPConn) {}},
		{"while the client sends", func(c *net.TCPConn) {
			io.ReadFull(c, make([]byte, 1))
			reset(c)
		}, func(c *net.TCPConn) {
			for buf := make([]byte, 64<<10); ; {
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
		}},
		{"after the client's half-close", func(c *net.TCPConn) {
			io.Copy(io.Discard, c)
			reset(c)
		}, func(c *net.TCPConn) { c.CloseWrite() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, pool(t, backend(t, tt.handle)))
			for range 20 { // which copy hears of a reset first is a matter of luck
				c := r.dial(t)
				io.WriteString(c, "x")
				var wg sync.WaitGroup
				wg.Go(func() { tt.client(c) })
				_, err := io.Copy(io.Discard, c)
				wg.Wait()
				// A write that met the reset first was given its error, and left
				// the read with an end.
				if err == nil && tt.name != "while the client sends" {
					t.Fatal("client saw a clean end, want a reset")
				}
				if err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Fatalf("client saw %v, want a reset", err)
				}
			}
			r.settle(t)
		})
	}
}

// A server that answers early and goes away with unread input resets; its answer
// must get through all the same.
func TestAnswerBeforeResetGetsThrough(t *testing.T) {
	const answer = "413 too much"
	r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		io.WriteString(c, answer)
	})))
	for range 20 {
		c := r.dial(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			for buf := make([]byte, 64<<10); ; {
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
		})
		got := make([]byte, len(answer))
		_, err := io.ReadFull(c, got)
		wg.Wait()
		if err != nil || string(got) != answer {
			t.Fatalf("answer = %q, %v; want %q", got, err, answer)
		}
	}
}

func TestDeadServerIsPassedOver(t *testing.T) {
	alive := backend(t, echo)
	r := start(t, pool(t, reactortest.Refusing(t), alive))
	for range 5 {
		c := r.dial(t)
		io.WriteString(c, "ping")
		c.CloseWrite()
		if got, err := io.ReadAll(c); err != nil || string(got) != "ping" {
			t.Fatalf("echo = %q, %v", got, err)
		}
	}
	if diff := cmp.Diff(proxy.Traffic{Accepted: 5}, r.settle(t)); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
	dead := r.server(0)
	want := upstream.Status{Health: upstream.Down, Reason: "connect: connection refused", Served: 3, Failed: 3, Weight: 1}
	if diff := cmp.Diff(want, dead, cmpopts.IgnoreFields(upstream.Status{}, "Since")); diff != "" {
		t.Errorf("status of the dead server (-want +got):\n%s", diff)
	}
}

func TestNoServerResetsClient(t *testing.T) {
	for name, servers := range map[string][]string{
		"pool is empty":    nil,
		"nobody answers":   {reactortest.Refusing(t), reactortest.Refusing(t)},
		"only one, refuse": {reactortest.Refusing(t)},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, pool(t, servers...))
			// The reset may even outrun the return of the connect.
			c, err := net.Dial("tcp", r.l.Addr().String())
			if err == nil {
				defer c.Close()
				_, err = io.ReadAll(c)
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("client saw %v, want a reset", err)
			}
			if diff := cmp.Diff(proxy.Traffic{Accepted: 1, Failed: 1}, r.settle(t)); diff != "" {
				t.Errorf("traffic (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewConfigConcernsNewConnections(t *testing.T) {
	greet := func(name string) func(*net.TCPConn) {
		return func(c *net.TCPConn) {
			io.WriteString(c, name)
			echo(c)
		}
	}
	r := start(t, pool(t, backend(t, greet("a"))))
	read := func(c *net.TCPConn) string {
		t.Helper()
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before := r.dial(t)
	if got := read(before); got != "a" {
		t.Fatalf("greeted by %q, want a", got)
	}
	r.use(t, func(r *running) { r.pools["db"] = pool(t, backend(t, greet("b"))) })
	if got := read(r.dial(t)); got != "b" {
		t.Errorf("new connection greeted by %q, want b", got)
	}
	io.WriteString(before, "!")
	if got := read(before); got != "!" {
		t.Errorf("old connection echoes %q, want !", got)
	}
}

func TestShutdown(t *testing.T) {
	t.Run("lets connections finish", func(t *testing.T) {
		r := start(t, pool(t, backend(t, echo)))
		c := r.dial(t)
		io.WriteString(c, "1")
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			r.stop(t, context.Background())
		}()
		io.WriteString(c, "2")
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Errorf("during the shutdown: %v", err)
		}
		select {
		case <-stopped:
			t.Error("Shutdown returned before the connection ended")
		default:
		}
		c.CloseWrite()
		if rest, err := io.ReadAll(c); err != nil || len(rest) != 0 {
			t.Errorf("end = %q, %v", rest, err)
		}
		<-stopped
	})
	t.Run("resets what is left", func(t *testing.T) {
		heard := make(chan error, 1)
		r := start(t, pool(t, backend(t, func(c *net.TCPConn) {
			io.WriteString(c, "x")
			_, err := io.Copy(io.Discard, c)
			heard <- err
		})))
		c := r.dial(t)
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.stop(t, ctx)
		if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("client saw %v, want a reset", err)
		}
		if err := <-heard; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("server saw %v, want a reset", err)
		}
	})
}

func BenchmarkCopy(b *testing.B) {
	const size = 1 << 20
	r := start(b, pool(b, backend(b, func(c *net.TCPConn) {
		c.SetDeadline(time.Time{})
		echo(c)
	})))
	c := r.dial(b)
	c.SetDeadline(time.Time{})
	out, in := make([]byte, size), make([]byte, size)
	b.SetBytes(2 * size)
	for b.Loop() {
		var wg sync.WaitGroup
		wg.Go(func() { c.Write(out) })
		if _, err := io.ReadFull(c, in); err != nil {
			b.Fatal(err)
		}
		wg.Wait()
	}
	c.CloseWrite()
}

func BenchmarkConnection(b *testing.B) {
	r := start(b, pool(b, backend(b, echo)))
	for b.Loop() {
		c := r.dial(b)
		io.WriteString(c, "ping")
		c.CloseWrite()
		if _, err := io.ReadAll(c); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
