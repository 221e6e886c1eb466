package notice

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	patience = 20 * time.Second // for what must happen at all
	// aWhile is how long nothing is to happen: longer than any doubt.
	aWhile = doubtFor + 500*time.Millisecond
)

var testKey = []byte("0123456789abcdef0123456789abcdef")

// newPair returns two loopback addresses that no other test has, nor another run
// of this one. The port is none that the kernel gives away.
func newPair(t *testing.T) (a, b netip.AddrPort) {
	t.Helper()
	h := fnv.New32a()
	fmt.Fprint(h, os.Getpid(), t.Name())
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], 127<<24|h.Sum32()%0x3fffff*4+1)
	first := netip.AddrFrom4(ip)
	return netip.AddrPortFrom(first, 7946), netip.AddrPortFrom(first.Next(), 7946)
}

// running is a Session that runs until stop is called or the test ends.
type running struct {
	*Session
	t    *testing.T
	stop func()
}

func run(t *testing.T, o Options) running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := New(o)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("%s: %v", o.Node, err)
		}
	})
	r := running{s, t, func() { cancel(); wg.Wait() }}
	t.Cleanup(r.stop)
	return r
}

// expect waits for an event of the first kind; those of the other kinds may come
// before it.
func (r running) expect(want Kind, before ...Kind) Event {
	r.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		select {
		case e := <-r.Events():
			r.t.Logf("%s: %s", e.Kind, e.Evidence)
			if e.Kind == want {
				return e
			}
			if !slices.Contains(before, e.Kind) {
				r.t.Fatalf("got %s (%s), want %s", e.Kind, e.Evidence, want)
			}
		case <-deadline.C:
			r.t.Fatalf("no %s", want)
		}
	}
}

func (r running) says(e Event, part string) {
	r.t.Helper()
	if !strings.Contains(e.Evidence, part) {
		r.t.Errorf("%s: the evidence is %q, want %q in it", e.Kind, e.Evidence, part)
	}
}

// quiet fails when there is an event within d.
func (r running) quiet(d time.Duration) {
	r.t.Helper()
	select {
	case e := <-r.Events():
		r.t.Errorf("got %s (%s), want nothing", e.Kind, e.Evidence)
	case <-time.After(d):
	}
}

// script is a peer whose every move is the test's.
type script struct {
	t  *testing.T
	id identity
	ln *net.TCPListener
}

func listen(t *testing.T, at netip.AddrPort) *script {
	t.Helper()
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	ln.SetDeadline(time.Now().Add(patience))
	s := &script{t: t, id: identity{process: process{node: "lb2"}}, ln: ln}
	s.reboot()
	return s
}

func (s *script) reboot() { rand.Read(s.id.boot[:]) }

func (s *script) accept() *net.TCPConn {
	s.t.Helper()
	conn, err := s.ln.AcceptTCP()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// session accepts a caller and shakes hands.
func (s *script) session() *net.TCPConn {
	s.t.Helper()
	conn := s.accept()
	if _, err := s.id.answer(conn); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// reset ends a connection as a forged RST does.
func reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}
