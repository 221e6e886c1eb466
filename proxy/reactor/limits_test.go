package reactor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// withDescriptors sets the limit of descriptors for the test.
func withDescriptors(t *testing.T, limit func(hard uint64) uint64) uint64 {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	set := unix.Rlimit{Cur: limit(old.Max), Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &set); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &old) })
	return set.Cur
}

// manyConnections opens as many as the limit allows, both ends in this process.
func manyConnections(t *testing.T, addr netip.AddrPort, most int) []int {
	t.Helper()
	hard := withDescriptors(t, func(hard uint64) uint64 { return hard })
	n := min(most, (int(hard)-500)/2)
	if n < 1000 {
		t.Skipf("the limit of %d descriptors allows only %d connections", hard, n)
	}
	sa := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	fds := make([]int, 0, n)
	t.Cleanup(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := unix.Connect(fd, sa); err != nil {
			t.Fatal(err)
		}
	}
	return fds
}

func TestTenThousandConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("opens as many connections as the limit allows")
	}
	r := start(t, 2)
	ln, addr := r.listen(t, ListenOptions{Serve: echo})
	fds := manyConnections(t, addr, 10000)
	t.Logf("%d connections", len(fds))
	for round := range 2 {
		for i, fd := range fds {
			if _, err := unix.Write(fd, fmt.Appendf(nil, "%d of %5d", round, i)); err != nil {
				t.Fatal(err)
			}
		}
		b := make([]byte, 100)
		for i, fd := range fds {
			n, err := unix.Read(fd, b)
			if want := fmt.Sprintf("%d of %5d", round, i); err != nil || string(b[:n]) != want {
				t.Fatalf("connection %d: %q, %v; want %q", i, b[:n], err, want)
			}
		}
	}
	if got := ln.Open(); got != int64(len(fds)) {
		t.Errorf("Open() = %d, want %d", got, len(fds))
	}
	if a, b := r.Loops()[0].Open(), r.Loops()[1].Open(); min(a, b) < 2*max(a, b)/3 {
		t.Errorf("the loops have %d and %d", a, b)
	}
	ln.Drain()
	until(t, "all are drained", func() bool { return ln.Open() == 0 })
}

// A parked connection is to cost less than 300 bytes of Go's memory.
func TestAParkedConnectionIsSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has its own memory")
	}
	r := start(t, 1)
	ln, addr := r.listen(t, ListenOptions{Serve: echo, Timeout: time.Hour})
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := heap()
	fds := manyConnections(t, addr, 5000)
	until(t, "all are accepted", func() bool { return ln.Open() == int64(len(fds)) })
	each := func() int64 { return (int64(heap()) - int64(before) - int64(8*len(fds))) / int64(len(fds)) }
	fresh := each()
	b := make([]byte, 100)
	for _, fd := range fds {
		if _, err := unix.Write(fd, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if n, err := unix.Read(fd, b); err != nil || n != 5 {
			t.Fatal(n, err)
		}
	}
	served := each()
	t.Logf("%d parked connections: %d bytes each, %d after their first request", len(fds), fresh, served)
	if fresh > 300 || served > 300 {
		t.Errorf("%d bytes before and %d after the first request, want at most 300", fresh, served)
	}
	do(t, r.Loops()[0], func() error { // what was measured must have been alive
		if n := r.Loops()[0].conns.Len(); n < len(fds) {
			return fmt.Errorf("%d slots", n)
		}
		return nil
	})
}

func TestOutOfDescriptorsIsAnsweredAndSurvived(t *testing.T) {
	r := start(t, 1)
	const refusal = "HTTP/1.1 503 Service Unavailable\r\n\r\n"
	ln, addr := r.listen(t, ListenOptions{Serve: echo, Refusal: []byte(refusal)})
	before := connectTo(t, addr)
	if err := ask(before, "before"); err != nil {
		t.Fatal(err)
	}
	// The clients are there before their limit: what the reactor would need is
	// what there is no more of.
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(client), "client")
	defer f.Close()
	// Some more than are open, for the fillers to take: when they let go of them, there
	// must be one for a new client and one for the reactor.
	withDescriptors(t, func(uint64) uint64 { return uint64(highestDescriptor(t)) + 8 })
	fillers := fill(t)
	if err := unix.Connect(client, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(f); err != nil || string(text) != refusal {
		t.Errorf("the refused client reads %q, %v", text, err)
	}
	if err := ask(before, "meanwhile"); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
	for _, fd := range fillers {
		unix.Close(fd)
	}
	after := connectTo(t, addr)
	if err := ask(after, "after"); err != nil {
		t.Errorf("a connection after the shortage: %v", err)
	}
	if ln.Refused() != 1 || ln.Failed() == 0 || ln.Accepted() != 2 {
		t.Errorf("refused %d, failed %d, accepted %d; want 1, some, 2", ln.Refused(), ln.Failed(), ln.Accepted())
	}
}

func highestDescriptor(t *testing.T) (highest int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		var fd int
		fmt.Sscan(e.Name(), &fd)
		highest = max(highest, fd)
	}
	return highest
}

// fill opens descriptors until there are no more.
func fill(t *testing.T) (fds []int) {
	t.Helper()
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == unix.EMFILE {
			return fds
		}
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
}

func TestAPausedListenerLeavesConnectionsToTheKernel(t *testing.T) {
	r := start(t, 1)
	ln, addr := r.listen(t, ListenOptions{Serve: echo})
	ln.Pause()
	do(t, r.Loops()[0], func() error { return nil }) // it is paused now
	c := connectTo(t, addr)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	do(t, r.Loops()[0], func() error { return r.Loops()[0].Sleep(brief) })
	if got := ln.Accepted(); got != 0 {
		t.Fatalf("accepted %d while paused", got)
	}
	ln.Resume()
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Errorf("after Resume: %v", err)
	}
}

func TestAClosedListenerKeepsItsConnections(t *testing.T) {
	r := start(t, 2)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ln, err := r.Listen(l.(*net.TCPListener), ListenOptions{Serve: echo})
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	c := connectTo(t, addr)
	if err := ask(c, "before"); err != nil {
		t.Fatal(err)
	}
	ln.Close()
	ln.Close()
	ln.Pause()
	do(t, ln.loop, func() error { return nil })
	// The socket still listens, for its next owner.
	connectTo(t, addr)
	next, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	next.Close()
	if err := ask(c, "after"); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
}

func TestDrainServesWhatHasComeAndClosesTheRest(t *testing.T) {
	r := start(t, 1)
	inServe, proceed := make(chan *Conn, 2), make(chan struct{})
	ln, addr := r.listen(t, ListenOptions{Serve: func(c *Conn) bool {
		var b [100]byte
		n, err := c.TryRead(b[:])
		if err != nil {
			return errors.Is(err, ErrWouldBlock)
		}
		if b[0] == 'w' {
			inServe <- c
			c.Loop().Await(func() { <-proceed })
		}
		c.Write(append(b[:n], fmt.Sprint(c.Listener().Draining())...))
		return true
	}})
	idle, busy, fresh := connectTo(t, addr), connectTo(t, addr), connectTo(t, addr)
	exchange := func(c net.Conn, message, want string) {
		t.Helper()
		io.WriteString(c, message)
		b := make([]byte, len(want))
		if n, err := io.ReadFull(c, b); err != nil || string(b) != want {
			t.Errorf("sent %q, got %q, %v; want %q", message, b[:n], err, want)
		}
	}
	exchange(idle, "i", "ifalse")
	io.WriteString(busy, "w")
	receive(t, "the busy one", inServe)
	until(t, "all are accepted", func() bool { return ln.Open() == 3 })
	ln.Drain()
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the idle one reads %v, want EOF", err)
	}
	close(proceed)
	exchange(busy, "", "wtrue")
	exchange(fresh, "f", "ftrue")
	for _, c := range []net.Conn{busy, fresh} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("after its answer: %v, want EOF", err)
		}
	}
	until(t, "all are closed", func() bool { return ln.Open() == 0 })
}
