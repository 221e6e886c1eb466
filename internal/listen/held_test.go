package listen

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// watchers counts the watches of this process's epoll instances for the socket of f,
// whatever descriptor they were made with.
func watchers(t *testing.T, f *os.File) (n int) {
	t.Helper()
	var st unix.Stat_t
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if ctl := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }); ctl != nil || err != nil {
		t.Fatal(ctl, err)
	}
	all, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil || len(all) == 0 {
		t.Skip("no /proc/self/fdinfo")
	}
	for _, name := range all {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // closed meanwhile
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "tfd:") && strings.Contains(line, fmt.Sprintf(" ino:%x ", st.Ino)) {
				n++
			}
		}
	}
	return n
}

// The supervisor only holds its sockets: a connection must not wake it up.
func TestSocketsThatAreHeldAreNotWatched(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if watchers(t, f) == 0 {
		t.Fatal("the test does not see the watch of a socket that Go accepts from")
	}

	for _, bind := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		all, _, err := Bind(t.Context(), binds(bind), nil)
		if err != nil {
			t.Logf("%s: %v", bind, err) // a host without IPv6
			continue
		}
		for bind, f := range all {
			if n := watchers(t, f); n != 0 {
				t.Errorf("%s is watched %d times", bind, n)
			}
		}
		Close(all)
	}
}
