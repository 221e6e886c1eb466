package faulty_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab/faulty"
)

// patience bounds what a test waits for; nothing takes that long.
const patience = 20 * time.Second

// reserve returns an address of the loopback that nobody else gets, also while
// nobody listens there.
func reserve(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
}

func start(t *testing.T, o faulty.Options) *faulty.Server {
	t.Helper()
	o.Address = reserve(t)
	s, err := faulty.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func set(t *testing.T, s *faulty.Server, f faulty.Fault) {
	t.Helper()
	if err := s.Set(f); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, s *faulty.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func request(t *testing.T, c io.Writer, path string) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAServerWithoutAFaultKeepsItsConnections(t *testing.T) {
	s := start(t, faulty.Options{Body: "s1"})
	c := connect(t, s)
	r := bufio.NewReader(c)
	for range 3 {
		request(t, c, "/")
		if diff := cmp.Diff("s1", read(t, r)); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
	}
	if s.Accepted() != 1 {
		t.Errorf("%d connections, want 1", s.Accepted())
	}
}

func TestRefuseEndsConnectionsAndComesBack(t *testing.T) {
	s := start(t, faulty.Options{})
	c := connect(t, s)
	request(t, c, "/")
	read(t, bufio.NewReader(c))
	set(t, s, faulty.Fault{Kind: faulty.Refuse})
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection that was there ends by %v, want a reset", err)
	}
	if _, err := net.Dial("tcp", s.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new one is met by %v, want a refusal", err)
	}
	set(t, s, faulty.Fault{})
	c = connect(t, s)
	request(t, c, "/")
	read(t, bufio.NewReader(c))
}

func TestConnectionsEndAsTold(t *testing.T) {
	for _, test := range []struct {
		fault faulty.Fault
		bytes int // that come before
		reset bool
	}{
		{faulty.Fault{Kind: faulty.ResetAt}, 0, true},
		{faulty.Fault{Kind: faulty.CloseAt}, 0, false},
		{faulty.Fault{Kind: faulty.CloseAt, Bytes: 12}, 12, false},
	} {
		t.Run(test.fault.String(), func(t *testing.T) {
			s := start(t, faulty.Options{Body: "s1"})
			set(t, s, test.fault)
			c := connect(t, s)
			request(t, c, "/")
			got, err := io.ReadAll(c)
			if len(got) != test.bytes || errors.Is(err, syscall.ECONNRESET) != test.reset {
				t.Errorf("%d bytes and %v", len(got), err)
			}
		})
	}
}

func TestResetComesWithoutARequest(t *testing.T) {
	s := start(t, faulty.Options{})
	set(t, s, faulty.Fault{Kind: faulty.Reset, Hit: 1, Of: 2})
	// The reset may come before the dial has returned.
	if c, err := net.Dial("tcp", s.Address()); err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the first connection ends by %v, want a reset", err)
		}
	}
	c := connect(t, s)
	request(t, c, "/")
	read(t, bufio.NewReader(c))
}

func TestAStallLastsUntilTheClientGoes(t *testing.T) {
	s := start(t, faulty.Options{Body: "hello"})
	set(t, s, faulty.Fault{Kind: faulty.StallBody, Bytes: 2})
	c := connect(t, s)
	request(t, c, "/")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2)
	if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != "he" {
		t.Fatalf("read %q, %v", got, err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := res.Body.Read(got); n != 0 || err == nil {
		t.Errorf("%q comes, %v, want nothing", got[:n], err)
	}
	// Close, at the end of the test, waits for nobody that stalls.
}

func TestASlowAnswerIsWhole(t *testing.T) {
	s := start(t, faulty.Options{Body: "hello"})
	set(t, s, faulty.Fault{Kind: faulty.Slow, Rate: 100_000})
	c := connect(t, s)
	request(t, c, "/")
	if diff := cmp.Diff("hello", read(t, bufio.NewReader(c))); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestABurstHitsTheFirstOfEach(t *testing.T) {
	s := start(t, faulty.Options{Spare: "/healthz"})
	set(t, s, faulty.Fault{Kind: faulty.Status, Status: 503, Hit: 2, Of: 3})
	c := connect(t, s)
	r := bufio.NewReader(c)
	var got []int
	for _, path := range []string{"/", "/healthz", "/", "/", "/healthz", "/"} {
		request(t, c, path)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		got = append(got, res.StatusCode)
	}
	if diff := cmp.Diff([]int{503, 200, 503, 200, 200, 503}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if n := s.Ledger().Requests(); n != 4 {
		t.Errorf("%d requests were counted, want 4: health checks are none", n)
	}
}

func TestALedgerShowsWhatWasServedTwice(t *testing.T) {
	ledger := faulty.NewLedger()
	one, two := start(t, faulty.Options{Ledger: ledger}), start(t, faulty.Options{Ledger: ledger})
	ask := func(s *faulty.Server, id string) {
		c := connect(t, s)
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: %s\r\nContent-Length: 2\r\n\r\nok", id)
		read(t, bufio.NewReader(c))
	}
	ask(one, "a")
	ask(two, "a")
	ask(two, "b")
	if diff := cmp.Diff([]string{"a"}, ledger.Repeated()); diff != "" {
		t.Errorf("repeated (-want +got):\n%s", diff)
	}
	if ledger.Requests() != 3 || ledger.Arrivals("b") != 1 || ledger.Arrivals("c") != 0 {
		t.Errorf("counted %d, %d of b, %d of c", ledger.Requests(), ledger.Arrivals("b"), ledger.Arrivals("c"))
	}
}

func TestHalfARequestIsNotCounted(t *testing.T) {
	s := start(t, faulty.Options{})
	c := connect(t, s)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(c); len(got) != 0 || err != nil {
		t.Errorf("answered %q, %v", got, err)
	}
	if s.Ledger().Requests() != 0 {
		t.Error("it was counted")
	}
}

func TestTCPIsEchoed(t *testing.T) {
	s := start(t, faulty.Options{Protocol: faulty.TCP})
	c := connect(t, s)
	io.WriteString(c, "one")
	got := make([]byte, 3)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "one" {
		t.Fatalf("echo %q, %v", got, err)
	}
	set(t, s, faulty.Fault{Kind: faulty.ResetAt, Bytes: 0})
	io.WriteString(c, "two")
	if _, err := c.Read(got); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ends by %v, want a reset", err)
	}
}

func TestAClosedServerTakesNoFault(t *testing.T) {
	s := start(t, faulty.Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(faulty.Fault{}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("error %v, want a refusal", err)
	}
}
