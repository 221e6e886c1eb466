package reactor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
)

// Many connections through a proxy that moves their bytes in all the ways there
// are, in a random schedule; what comes back is what was sent.
func TestRandomSchedulesKeepTheBytes(t *testing.T) {
	const clients = 60
	r := start(t, 2)
	_, back := r.listen(t, ListenOptions{Serve: echo})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	_, addr := r.listen(t, ListenOptions{Serve: func(c *Conn) bool {
		l := c.Loop()
		random := rand.New(rand.NewPCG(seed, uint64(c.RemoteAddrPort().Port())))
		up, err := l.Dial(back, DialOptions{})
		if err != nil {
			t.Errorf("dial: %v", err)
			return false
		}
		defer up.Close()
		upward := l.Go(func() {
			if err := carry(up, c, random.Uint64()); err != nil {
				t.Errorf("upward: %v", err)
			}
			up.CloseWrite()
		})
		if err := carry(c, up, random.Uint64()); err != nil {
			t.Errorf("downward: %v", err)
		}
		upward.Wait()
		return false
	}})
	results := make(chan error, clients)
	for i := range clients {
		go func() { results <- randomClient(addr.String(), rand.New(rand.NewPCG(seed, uint64(i)))) }()
	}
	for range clients {
		if err := receive(t, "a client", results); err != nil {
			t.Error(err)
		}
	}
	if r.Panics() != 0 {
		t.Error(r.panicText())
	}
}

func randomClient(addr string, random *rand.Rand) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	c := conn.(*net.TCPConn)
	defer c.Close()
	sent := pattern(1 + random.IntN(1<<random.IntN(21)))
	writing := make(chan error, 1)
	write := rand.New(rand.NewPCG(random.Uint64(), 0))
	go func() {
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+write.IntN(1<<write.IntN(18)))
			if _, err := c.Write(rest[:n]); err != nil {
				writing <- err
				return
			}
			rest = rest[n:]
		}
		writing <- c.CloseWrite()
	}()
	var got bytes.Buffer
	b := make([]byte, 1<<random.IntN(17))
	_, err = io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{c}, b)
	if err := errors.Join(err, <-writing); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), sent) {
		return fmt.Errorf("sent %d bytes and got %d, or others", len(sent), got.Len())
	}
	return nil
}

// carry moves all from src to dst in random ways.
func carry(dst, src *Conn, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 1))
	l := src.Loop()
	for {
		switch random.IntN(6) {
		case 0:
			if _, err := l.Splice(dst, src, int64(1+random.IntN(1<<random.IntN(17)))); err != nil {
				return ignoreEnd(err)
			}
		case 1:
			l.Await(func() {})
		case 2:
			if random.IntN(8) == 0 {
				l.Sleep(1)
			}
		case 3:
			src.SetReadDeadline(l.Now().Add(patience))
			dst.SetWriteDeadline(l.Now().Add(patience))
		default:
			b := make([]byte, 1+random.IntN(1<<random.IntN(16)))
			n, err := src.Read(b)
			if err != nil {
				return ignoreEnd(err)
			}
			half := random.IntN(n + 1)
			if random.IntN(2) == 0 {
				_, err = dst.WriteBuffers(b[:half], nil, b[half:n])
			} else {
				_, err = dst.Write(b[:n])
			}
			if err != nil {
				return err
			}
		}
	}
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
