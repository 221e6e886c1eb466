package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// single is a node that stands alone, run without any privilege.
type single struct {
	t       *testing.T
	dir     string
	address string // that it serves
	cmd     *exec.Cmd
	done    chan struct{} // closed at its end
	err     error         // how it ended

	mu  sync.Mutex
	log bytes.Buffer // its standard error, a pipe that its children share
}

func (s *single) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(b)
}

// startSingle serves one HTTP listener before backend, with more of the config.
func startSingle(t *testing.T, backend http.HandlerFunc, more string) *single {
	t.Helper()
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	return runSingle(t, func(address string) string {
		return fmt.Sprintf("listeners: {web: {bind: %q, servers: [%q]}}\n%s", address, server.Listener.Addr(), more)
	})
}

// runSingle runs a node with the config for a listener of that address.
func runSingle(t *testing.T, config func(address string) string) *single {
	t.Helper()
	dir, err := os.MkdirTemp("", "tandem-test-") //nolint:usetesting // others are to read in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &single{t: t, dir: dir, address: reservePort(t), done: make(chan struct{})}
	s.configure(config(s.address))
	s.cmd = exec.Command("/proc/self/exe", "run", "-c", filepath.Join(dir, "tandem.yaml"), "--socket", filepath.Join(dir, "admin.sock"))
	s.cmd.Args[0] = "tandem"
	s.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "STATE_DIRECTORY="+filepath.Join(dir, "state"))
	s.cmd.Stderr = s
	if os.Geteuid() == 0 {
		const nobody = 65534
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		s.err = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // its children end with it
		<-s.done
		if t.Failed() {
			t.Logf("log:\n%s", s.text())
		}
	})
	s.eventually("it serves", func() bool {
		res, err := http.Get("http://" + s.address)
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
	return s
}

func (s *single) configure(text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "tandem.yaml"), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// reload makes a changed config the one that is served.
func (s *single) reload(change func(string) string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "tandem.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.configure(change(string(text)))
	cmd := exec.Command("/proc/self/exe", "reload", "--socket", filepath.Join(s.dir, "admin.sock"))
	cmd.Args[0] = "tandem"
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

func (s *single) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// stop tells it to end, and waits for that.
func (s *single) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	s.ended()
}

func (s *single) ended() {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatal("it does not end")
	}
	if s.err != nil {
		s.t.Errorf("it ended with %v", s.err)
	}
}

func (s *single) eventually(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// open connects, and returns what is read from.
func (s *single) open() (net.Conn, *bufio.Reader) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * patience))
	return c, bufio.NewReader(c)
}

// curl returns what curl prints.
func (s *single) curl(stdin io.Reader, args ...string) string {
	s.t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		s.t.Skip(err)
	}
	cmd := exec.Command("curl", append([]string{"--silent", "--show-error", "--max-time", "20", "--noproxy", "*"}, args...)...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("curl %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// summary answers with what the request was.
func summary(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %v %d %x %v\n", r.Method, r.URL, r.TransferEncoding, len(body), sha256.Sum256(body), err)
}

func TestSingleProxyServesCurl(t *testing.T) {
	t.Parallel()
	s := startSingle(t, summary, "")
	url := "http://" + s.address
	upload := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	sum := sha256.Sum256(upload)

	t.Log("# one connection for two requests")
	if got := s.curl(nil, "--output", os.DevNull, "--output", os.DevNull, "--write-out", "%{http_code} %{num_connects}\n", url, url); got != "200 1\n200 0\n" {
		t.Errorf("curl says %q", got)
	}
	t.Log("# a chunked upload")
	if got, want := s.curl(bytes.NewReader(upload), "--upload-file", "-", url+"/up"), fmt.Sprintf("PUT /up [chunked] %d %x <nil>\n", len(upload), sum); got != want {
		t.Errorf("the server saw %q, want %q", got, want)
	}
	t.Log("# an upload that waits for the server's word")
	got := s.curl(bytes.NewReader(upload), "--verbose", "--header", "Expect: 100-continue", "--expect100-timeout", "15", "--data-binary", "@-", url)
	if want := fmt.Sprintf("POST / [] %d %x <nil>\n", len(upload), sum); !strings.Contains(got, want) || !strings.Contains(got, "< HTTP/1.1 100 Continue") {
		t.Errorf("curl says %s\nwant a 100 and %q", got, want)
	}
	s.stop()
}

// echoes switches protocols, and echoes.
func echoes(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	io.Copy(c, rw)
}

func TestReloadDropsNoUpgradedConnection(t *testing.T) {
	t.Parallel()
	const connections = 200
	s := startSingle(t, echoes, "")
	type tunnel struct {
		net.Conn
		r *bufio.Reader
	}
	echo := func(tn tunnel, text string) error {
		if _, err := io.WriteString(tn, text); err != nil {
			return err
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(tn.r, got); err != nil || string(got) != text {
			return fmt.Errorf("echo of %q: %q, %w", text, got, err)
		}
		return nil
	}
	var all []tunnel
	for range connections {
		c, r := s.open()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(res, err)
		}
		all = append(all, tunnel{c, r})
	}
	for i, change := range []func(string) string{
		func(text string) string { return text + "log: {level: debug}\n" },
		func(text string) string { return strings.Replace(text, "servers:", "check: tcp, servers:", 1) },
		func(text string) string {
			return strings.Replace(text, "servers:", "limits: {connections: 10}, servers:", 1)
		},
	} {
		s.reload(change)
		for n, tn := range all {
			if err := echo(tn, fmt.Sprintf("after reload %d", i+1)); err != nil {
				t.Fatalf("connection %d: %v", n, err)
			}
		}
	}
	for _, tn := range all {
		tn.Close()
	}
	s.stop()
}

func TestStopLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	s := startSingle(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-release
			io.WriteString(w, "done")
		}
	}, "")
	idle, idleReader := s.open()
	io.WriteString(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := http.ReadResponse(idleReader, nil); err != nil {
		t.Fatal(err)
	}
	busy, busyReader := s.open()
	io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-begun
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(idleReader); err != nil || len(rest) > 0 {
		t.Errorf("the idle connection: %q, %v", rest, err)
	}
	s.eventually("nobody listens", func() bool {
		c, err := net.Dial("tcp", s.address)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	close(release)
	res, err := http.ReadResponse(busyReader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "done" || !res.Close {
		t.Errorf("answer %q, %v, the last one: %v", body, err, res.Close)
	}
	s.ended()
}

func TestLogIsLinesOfJSON(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config   string
		requests bool
	}{
		"with requests":    {"log: {level: debug}\n", true},
		"without requests": {"log: {level: debug, access: false}\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const clients, requests = 4, 200
			s := startSingle(t, summary, tc.config)
			var wg sync.WaitGroup
			for range clients {
				c, r := s.open()
				wg.Go(func() {
					for i := range requests {
						fmt.Fprintf(c, "GET /%s?%d HTTP/1.1\r\nHost: a\r\n\r\n", strings.Repeat("x", i), i)
						res, err := http.ReadResponse(r, nil)
						if err != nil {
							t.Error(err)
							return
						}
						io.Copy(io.Discard, res.Body)
					}
				})
			}
			for range 5 { // which write lines of their own meanwhile
				s.reload(func(text string) string { return text + "# more\n" })
			}
			wg.Wait()
			s.stop()
			own, access := 0, 0
			for line := range strings.Lines(s.text()) {
				var l struct{ Level, Reason, Path string }
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Errorf("%v: %q", err, line)
				}
				switch {
				case l.Level != "":
					own++
				case strings.Contains(l.Path, "?"):
					access++
				}
			}
			want := 0
			if tc.requests {
				want = clients * requests
			}
			if access != want || own < 5 {
				t.Errorf("%d lines of requests and %d others, want %d and some", access, own, want)
			}
		})
	}
}
