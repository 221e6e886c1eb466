package l7

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
)

// What is too large is refused in its own words, and no server hears of it.
func TestLimitsOfARequest(t *testing.T) {
	spec := quick(func(l *proxy.Listener) {
		l.Limits = proxy.ListenerLimits{LineBytes: 1000, HeaderBytes: 4000, Headers: 20, BodyBytes: 1000}
	})
	fields := func(n int) string { return strings.Repeat("X: 1\r\n", n) }
	tests := []struct {
		name, sent string
		status     int
	}{
		{"L13 a line of the limit", "GET /" + strings.Repeat("x", 1000-len("GET / HTTP/1.1")) + " HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		{"L13 a longer line", "GET /" + strings.Repeat("x", 1001-len("GET / HTTP/1.1")) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"S7 a field that is too long", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 1000) + "\r\n\r\n", 431},
		{"S7 as many fields as allowed", "GET / HTTP/1.1\r\nHost: a\r\n" + fields(19) + "\r\n", 200},
		{"S7 one field more", "GET / HTTP/1.1\r\nHost: a\r\n" + fields(20) + "\r\n", 431},
		{"S7 a flood of fields without an end", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: "+strings.Repeat("x", 900)+"\r\n", 5), 431},
		{"a body of the limit", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000), 200},
		{"a longer body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" + strings.Repeat("x", 1001), 413},
		{"the same, to be asked for", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n", 413},
		{"chunks of the limit", chunkedPost + "3e8\r\n" + strings.Repeat("x", 1000) + "\r\n0\r\n\r\n", 200},
		{"longer chunks", chunkedPost + "3e9\r\n" + strings.Repeat("x", 1001) + "\r\n0\r\n\r\n", 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := record200(t)
			c := startWith(t, spec, pool(t, rec.address)).dial(t)
			c.send(t, tt.sent)
			res := c.response(t, http.MethodPost)
			if res.StatusCode != tt.status || res.Close != (tt.status != 200) {
				t.Errorf("response = %s, close %t; want %d", res.Status, res.Close, tt.status)
			}
			if got := rec.connections(); (got > 0) != (tt.status == 200) {
				t.Errorf("%d connections to the server", got)
			}
		})
	}
	t.Run("chunks that become too long", func(t *testing.T) {
		rec := record200(t)
		c := startWith(t, spec, pool(t, rec.address)).dial(t)
		c.send(t, chunkedPost+"1f4\r\n"+strings.Repeat("x", 500)+"\r\n")
		eventually(t, func() bool { return rec.connections() == 1 })
		c.send(t, "1f5\r\n"+strings.Repeat("x", 501)+"\r\n0\r\n\r\n")
		if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusRequestEntityTooLarge || !res.Close {
			t.Errorf("response = %s, close %t; want 413 and close", res.Status, res.Close)
		}
		c.Close()
		eventually(t, func() bool { return len(rec.requests()) == 1 })
		if got := rec.requests()[0]; got.Err == "" {
			t.Error("the server got a body that looks complete")
		}
	})
}

// Who comes when there is no room is told so, and those who are in stay.
func TestLimitsOfConnections(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*proxy.Listener)
		status int
	}{
		"connections":            {func(l *proxy.Listener) { l.Limits.Connections = 2 }, 503},
		"connections_per_client": {func(l *proxy.Listener) { l.Limits.ConnectionsPerClient = 2 }, 429},
	} {
		t.Run(name, func(t *testing.T) {
			r := startWith(t, quick(tt.change), pool(t, record200(t).address))
			ask := func(c raw) int {
				t.Helper()
				c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				res := c.response(t, http.MethodGet)
				body(t, res)
				if res.StatusCode != http.StatusOK && (!res.Close || res.Header.Get("Retry-After") == "" || res.Header.Get(reasonField) == "") {
					t.Errorf("response = %s, %v; want it to close, and to say when to come again", res.Status, res.Header)
				}
				return res.StatusCode
			}
			first, second := r.dial(t), r.dial(t)
			for _, c := range []raw{first, second} {
				if got := ask(c); got != http.StatusOK {
					t.Errorf("response = %d, want 200", got)
				}
			}
			third := r.dial(t)
			if got := ask(third); got != tt.status {
				t.Errorf("response = %d, want %d", got, tt.status)
			}
			third.ends(t)
			if got := ask(first); got != http.StatusOK {
				t.Errorf("response to who is in = %d, want 200", got)
			}
			if got := r.Traffic().Refused[name]; got != 1 {
				t.Errorf("refused %v, want one for %s", r.Traffic().Refused, name)
			}
			second.Close()
			eventually(t, func() bool { return r.Traffic().Open == 1 })
			if got := ask(r.dial(t)); got != http.StatusOK {
				t.Errorf("response after one has left = %d, want 200", got)
			}
		})
	}
}

// exhaust takes all descriptors of the process but few. again takes those that others
// have let go since: what earlier tests have left behind closes when it will.
func exhaust(t *testing.T, but int) (again func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	highest, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	set := unix.Rlimit{Cur: uint64(highest) + 64, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &set); err != nil {
		t.Fatal(err)
	}
	fds := []int{highest}
	release := func() {
		unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
		for _, fd := range fds {
			unix.Close(fd)
		}
		fds = nil
	}
	t.Cleanup(release)
	fill := func() {
		for {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return
			}
			fds = append(fds, fd)
		}
	}
	fill()
	for range but {
		unix.Close(fds[len(fds)-1])
		fds = fds[:len(fds)-1]
	}
	return fill
}

// connectAndRead connects fd, and reads until there is an end, or nothing.
func connectAndRead(t *testing.T, fd int, to *net.TCPAddr) string {
	t.Helper()
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for b := make([]byte, 1000); ; {
		n, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue // a wait that is bounded is not restarted, see signal(7)
		}
		if err != nil || n <= 0 {
			return string(got)
		}
		got = append(got, b[:n]...)
	}
}

// Without descriptors, new connections are turned away with an answer; those that
// are there are served on, large bodies included, and no server is blamed.
func TestOutOfDescriptors(t *testing.T) {
	large := string(noise(1 << 20))
	address, _ := scripted(t, okNext, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(large), large), okNext)
	r := start(t, address)
	old := r.dial(t)
	old.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	body(t, old.response(t, http.MethodGet))
	var clients []int // sockets, while there are some
	for range 10 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, fd)
	}
	again := exhaust(t, 0)
	got := ""
	for _, fd := range clients {
		// One that is let in has had a descriptor that others have let go: it has
		// nothing to read.
		if got = connectAndRead(t, fd, r.l.Addr().(*net.TCPAddr)); got != "" {
			break
		}
		again()
	}
	if !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("a new client got %q, want 503", got)
	}
	for i, want := range []string{large, "next"} {
		old.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		res := old.response(t, http.MethodGet)
		if b, err := io.ReadAll(res.Body); err != nil || string(b) != want {
			t.Fatalf("response %d of a connection that is there = %s with %d bytes, %v; want %d", i, res.Status, len(b), err, len(want))
		}
	}
	if tr := r.Traffic(); tr.Shed != 1 || tr.Failed != 0 {
		t.Errorf("traffic = %+v, want one connection shed and no failure", tr)
	}
	if st := r.server(0); st.Failed != 0 {
		t.Errorf("status = %+v, want no failure", st)
	}
}
