package resolve

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzConf reads resolv.conf as whoever writes it may.
func FuzzConf(f *testing.F) {
	f.Add("nameserver 192.0.2.1\nsearch a.example b.example\noptions ndots:2 timeout:1 attempts:9\n", "web")
	f.Add("nameserver\nsearch\noptions ndots:x timeout:-1\ndomain .\n", "a.b.")
	f.Add("\x00\n\r;", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readConf(path)
		if err != nil {
			return
		}
		if len(c.servers) == 0 || c.rounds < 1 || c.timeout < time.Second || c.timeout > 5*time.Second {
			t.Errorf("%+v", c)
		}
		if len(c.candidates(name)) == 0 {
			t.Errorf("%q is asked for by no name", name)
		}
	})
}

func FuzzHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost # here\n::1 localhost ip6-localhost\n", "localhost")
	f.Add("::ffff:192.0.2.1 a. b\nx y\n", "A")
	f.Fuzz(func(t *testing.T, text, name string) {
		path := filepath.Join(t.TempDir(), "hosts")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, a := range readHosts(path, name) {
			if !a.IsValid() || a.Is4In6() {
				t.Errorf("%q has %v", name, a)
			}
		}
	})
}
