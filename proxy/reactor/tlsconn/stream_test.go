package tlsconn

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/proxy/reactor"
)

// upper answers with what it gets in upper case, until its end.
func upper(s Stream) error {
	var b [100]byte
	for {
		if err := s.WaitReadable(); err != nil {
			return err
		}
		n, err := s.TryRead(b[:])
		switch {
		case errors.Is(err, reactor.ErrWouldBlock):
			continue
		case err == io.EOF:
			return s.CloseWrite()
		case err != nil:
			return err
		}
		text := strings.ToUpper(string(b[:n]))
		if _, err := s.WriteBuffers([]byte(text[:1]), []byte(text[1:])); err != nil {
			return err
		}
	}
}

func TestAStreamIsTheSameWithAndWithoutTLS(t *testing.T) {
	serverConfig, clientConfig := certificate(t)
	for _, secure := range []bool{false, true} {
		ended := make(chan error, 1)
		_, addr := serve(t, serverConfig, func(c *Conn) bool {
			s := c.Stream()
			if s.Plain() || s.TLS() != c {
				t.Error("a stream of TLS is called plain")
			}
			ended <- upper(s)
			return false
		})
		var c interface {
			net.Conn
			CloseWrite() error
		}
		if secure {
			_, c = connect(t, addr, clientConfig)
		} else {
			c = plain(t, ended)
		}
		for _, text := range []string{"hello", "how are you"} {
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, len(text))
			if _, err := io.ReadFull(c, b); err != nil || string(b) != strings.ToUpper(text) {
				t.Errorf("TLS %v: got %q, %v", secure, b, err)
			}
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("TLS %v: at the end %v", secure, err)
		}
		if err := receive(t, "the end", ended); err != nil {
			t.Errorf("TLS %v: %v", secure, err)
		}
	}
}

// plain returns a connection to a stream without TLS.
func plain(t *testing.T, ended chan<- error) *net.TCPConn {
	t.Helper()
	_, addr := start(t, func(c *reactor.Conn) bool {
		ended <- upper(Plain(c))
		return false
	})
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Crypto/tls takes the end of a connection between two records for the end of what is
// said. Anybody can cause that.
func TestAnEndThatWasNotAnnouncedIsAnError(t *testing.T) {
	serverConfig, clientConfig := certificate(t)
	ended := make(chan error, 2)
	_, addr := serve(t, serverConfig, func(c *Conn) bool {
		_, err := io.ReadAll(c)
		ended <- err
		return false
	})
	raw, c := connect(t, addr, clientConfig)
	if _, err := io.WriteString(c, "some of it"); err != nil {
		t.Fatal(err)
	}
	raw.CloseWrite()
	if err := receive(t, "the end", ended); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	_, c = connect(t, addr, clientConfig)
	if _, err := io.WriteString(c, "all of it"); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	if err := receive(t, "the end", ended); err != nil {
		t.Errorf("got %v for an end that was announced", err)
	}
}

// A head and a body that are small go into one record, which is one packet.
func TestSmallPiecesShareARecord(t *testing.T) {
	serverConfig, clientConfig := certificate(t)
	serverConfig.DynamicRecordSizingDisabled = true
	large := strings.Repeat("0123456789", 10_000)
	pieces := [][]string{{"head", "body"}, {"", "a", "", "b"}, {"head", large, "end"}, {large[:record-1], "x", "y"}, {large, large}}
	_, addr := serve(t, serverConfig, func(c *Conn) bool {
		var b [1]byte
		for {
			if _, err := c.Read(b[:]); err != nil {
				return false
			}
			var bufs [][]byte
			want := 0
			for _, p := range pieces[b[0]] {
				bufs = append(bufs, []byte(p))
				want += len(p)
			}
			if n, err := c.Stream().WriteBuffers(bufs...); err != nil || n != int64(want) {
				t.Errorf("wrote %d of %d, %v", n, want, err)
			}
		}
	})
	_, c := connect(t, addr, clientConfig)
	for i := range pieces {
		if _, err := c.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		want := strings.Join(pieces[i], "")
		got := make([]byte, len(want))
		n, err := c.Read(got)
		if err != nil || n != min(len(want), record) {
			t.Errorf("%d: the first record has %d bytes, %v", i, n, err)
		}
		if _, err := io.ReadFull(c, got[n:]); err != nil || string(got) != want {
			t.Errorf("%d: got something else, %v", i, err)
		}
	}
}
