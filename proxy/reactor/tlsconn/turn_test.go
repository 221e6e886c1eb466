package tlsconn

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor"
)

// What is queued when a connection ends is sent, however slowly the peer takes it.
func TestWhatIsQueuedComesBeforeTheEnd(t *testing.T) {
	serverConfig, clientConfig := certificate(t)
	full, ended := make(chan int, 1), make(chan error, 1)
	_, addr := serve(t, serverConfig, func(c *Conn) bool {
		var b [1]byte
		if _, err := c.Read(b[:]); err != nil {
			t.Error(err)
		}
		written := 0
		for {
			n, err := c.TryWrite(make([]byte, 16<<10))
			written += n
			if err != nil {
				if !errors.Is(err, reactor.ErrWouldBlock) {
					t.Error(err)
				}
				break
			}
		}
		full <- written
		ended <- c.CloseWrite()
		return false
	})
	_, c := connect(t, addr, clientConfig)
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	written := receive(t, "a queue", full)
	got, err := io.ReadAll(c)
	if err != nil || len(got) != written {
		t.Errorf("got %d bytes of %d, %v", len(got), written, err)
	}
	if err := receive(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

// Who reads what is there already, and has never to wait, lets the others have their turn.
func TestOneWhoNeverWaitsLeavesTimeToOthers(t *testing.T) {
	const size = 1 << 20
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if roomFor(fd, size) != nil {
		t.Skip("large buffers are for root")
	}
	serverConfig, clientConfig := certificate(t)
	for name, read := range map[string]func(*Conn, []byte) (int, error){
		"Read": func(c *Conn, b []byte) (int, error) { return c.Read(b) },
		"WaitReadable": func(c *Conn, b []byte) (int, error) {
			if err := c.WaitReadable(); err != nil {
				return 0, err
			}
			return c.TryRead(b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan bool, 1)
			_, addr := serve(t, serverConfig, func(c *Conn) bool {
				fill(t, c.Raw(), size)
				others := false
				c.Raw().Loop().Go(func() { others = true })
				b := make([]byte, 16<<10)
				for n := 0; n < size; {
					k, err := read(c, b)
					if err != nil {
						t.Error(err)
						break
					}
					n += k
				}
				ended <- others
				return false
			})
			_, c := connect(t, addr, clientConfig)
			go c.Write(bytes.Repeat([]byte("x"), 2*size)) // it ends with the connection
			if !receive(t, "the reading", ended) {
				t.Error("nothing else has run meanwhile")
			}
		})
	}
}

// roomFor makes the buffer of a socket larger than users may, so that n bytes fit.
func roomFor(fd, n int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8*n)
}

// fill waits until c has more than n bytes to read.
func fill(t *testing.T, c *reactor.Conn, n int) {
	if err := c.Control(func(fd int) error { return roomFor(fd, n) }); err != nil {
		t.Error(err)
	}
	for there := 0; there < n+n/8; c.Loop().Sleep(time.Millisecond) {
		if err := c.Control(func(fd int) (err error) {
			there, err = unix.IoctlGetInt(fd, unix.SIOCINQ)
			return err
		}); err != nil {
			t.Error(err)
			return
		}
	}
}
