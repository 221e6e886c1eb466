package sdnotify

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// manager listens as systemd does.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func TestWhatTheServiceManagerHears(t *testing.T) {
	conn := manager(t)
	for name, tc := range map[string]struct {
		say  func()
		want string // regular expression
	}{
		"ready":     {Ready, `^READY=1$`},
		"reloading": {Reloading, `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*$`},
		"stopping":  {Stopping, `^STOPPING=1$`},
		"alive":     {Alive, `^WATCHDOG=1$`},
		"status":    {func() { Status("active: main\nMAINPID=1") }, `^STATUS=active: main MAINPID=1$`},
	} {
		tc.say()
		buf := make([]byte, 4096)
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := string(buf[:n]); !regexp.MustCompile(tc.want).MatchString(got) {
			t.Errorf("%s: heard %q, want %s", name, got, tc.want)
		}
	}
}

func TestWithoutServiceManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	Ready()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	Ready() // neither waits nor fails
}

func TestInterval(t *testing.T) {
	for usec, want := range map[string]time.Duration{"": time.Second, "900000": 300 * time.Millisecond, "60000000": time.Second, "x": time.Second} {
		t.Setenv("WATCHDOG_USEC", usec)
		t.Setenv("WATCHDOG_PID", "")
		if got := Interval(time.Second); got != want {
			t.Errorf("WATCHDOG_USEC=%q: %v, want %v", usec, got, want)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	for _, s := range []string{"", "a\nREADY=1", "a\x00b", strings.Repeat("ä", 300), "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := oneLine(s)
		if strings.ContainsAny(got, "\n\r") || len(got) > longest+len("...") || !utf8.ValidString(got) {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}
