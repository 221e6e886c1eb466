package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
)

// named starts a server that answers with its name.
func named(t *testing.T, name string) (address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// tandem runs a command against the node.
func (s *single) tandem(args ...string) (stdout string, err error) {
	s.t.Helper()
	cmd := exec.Command("/proc/self/exe", append(args, "--socket", filepath.Join(s.dir, "admin.sock"))...)
	cmd.Args[0] = "tandem"
	var out, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, failure.String())
	}
	return out.String(), nil
}

// who returns the names of the servers that answer n requests, sorted and counted.
func (s *single) who(n int) map[string]int {
	s.t.Helper()
	got := map[string]int{}
	for range n {
		res, err := http.Get("http://" + s.address)
		if err != nil {
			s.t.Fatal(err)
		}
		name, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			s.t.Fatal(err)
		}
		got[string(name)]++
	}
	return got
}

func TestServersAreChangedByCommand(t *testing.T) {
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	s := runSingle(t, func(address string) string {
		return fmt.Sprintf("listeners: {web: {bind: %q, servers: [{address: %q, name: first}, %q]}}\n", address, a, b)
	})
	for _, step := range []struct {
		command []string
		want    map[string]int // of six requests
	}{
		{[]string{"web/first", "drain"}, map[string]int{"b": 6}},
		{[]string{"web/" + a, "ready"}, map[string]int{"a": 3, "b": 3}},
		{[]string{"web/" + b, "maint"}, map[string]int{"a": 6}},
		{[]string{"web/" + c, "add"}, map[string]int{"a": 3, "c": 3}},
		{[]string{"web/" + c, "weight=2"}, map[string]int{"a": 2, "c": 4}},
		{[]string{"web/first", "remove"}, map[string]int{"c": 6}},
	} {
		out, err := s.tandem(append([]string{"server"}, step.command...)...)
		if err != nil {
			t.Fatalf("%q: %v", step.command, err)
		}
		if !strings.Contains(out, "on this node alone") {
			t.Errorf("%q prints %q", step.command, out)
		}
		if diff := cmp.Diff(step.want, s.who(6)); diff != "" {
			t.Errorf("after %q (-want +got):\n%s", step.command, diff)
		}
	}

	diff, err := s.tandem("server", "--diff")
	if err != nil || !strings.Contains(diff, "web/first") || !strings.Contains(diff, "removed") || !strings.Contains(diff, "weight=2") {
		t.Errorf("--diff: %q, %v", diff, err)
	}
	if _, err := s.tandem("server", "web/nobody", "drain"); err == nil || !strings.Contains(err.Error(), `has no server "nobody"`) {
		t.Errorf("an unknown server: %v", err)
	}
	out, err := s.tandem("server", "wed/first", "drain", "--json")
	var answer struct {
		Changed bool
		Error   string
	}
	if json.Unmarshal([]byte(out), &answer) != nil || err == nil || answer.Changed || !strings.Contains(answer.Error, `did you mean "web"?`) {
		t.Errorf("an unknown pool: %s, %v", out, err)
	}

	// A reload of the file that says nothing else leaves them as they are.
	s.reload(func(text string) string { return text + "log: {level: warn}\n" })
	if diff := cmp.Diff(map[string]int{"c": 6}, s.who(6)); diff != "" {
		t.Errorf("after a reload (-want +got):\n%s", diff)
	}
}

// What keeps work from a server is in the status, for people and for programs.
func TestStatusSaysWhatKeepsWorkFromAServer(t *testing.T) {
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(sick.Close)
	address := sick.Listener.Addr().String()
	s := runSingle(t, func(bind string) string {
		return fmt.Sprintf(`listeners: {web: {bind: %q, pool: web}}
pools:
  web:
    servers: [%q, %q, "nobody.invalid:80"]
    outlier: {consecutive: 2, eject: 1h, max_ejected: 50%%}
    limits: {connections: 50, queue: 7, queue_timeout: 1s}
    retry: {attempts: 1, on: ["502"], budget: 100%%}
`, bind, named(t, "well"), address)
	})
	s.who(12)
	var st admin.Status
	s.eventually("the server is ejected", func() bool {
		out, err := s.tandem("status", "--json")
		return err == nil && json.Unmarshal([]byte(out), &st) == nil && len(st.Pools) == 1 && len(st.Pools[0].Servers) == 2 &&
			st.Pools[0].Servers[1].Ejected.Until.After(time.Now())
	})
	p := st.Pools[0]
	if p.Servers[1].Ejected.Reason != "2 failures in a row" || p.Most != 50 || p.QueueLength != 7 || p.Retries == 0 {
		t.Errorf("status %+v", p)
	}
	if len(st.Notes) != 1 || !strings.Contains(st.Notes[0], "nobody.invalid:80 did not resolve") {
		t.Errorf("notes %q", st.Notes)
	}
	text, err := s.tandem("status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"EJECTED for another", ": 2 failures in a row", "of 50 in progress, 0 of 7 waiting", "retries", "note  pool web: nobody.invalid:80 did not resolve"} {
		if !strings.Contains(text, want) {
			t.Errorf("the status lacks %q:\n%s", want, text)
		}
	}
}

// A server may be named: it is served under the addresses of its name.
func TestServersAreFoundByName(t *testing.T) {
	_, port, err := net.SplitHostPort(named(t, "found"))
	if err != nil {
		t.Fatal(err)
	}
	s := runSingle(t, func(address string) string {
		return fmt.Sprintf("listeners: {web: {bind: %q, servers: [\"localhost:%s\"]}}\n", address, port)
	})
	if diff := cmp.Diff(map[string]int{"found": 6}, s.who(6)); diff != "" {
		t.Errorf("who answers (-want +got):\n%s", diff)
	}
	out, err := s.tandem("status")
	if err != nil || !strings.Contains(out, "name  localhost:"+port+"  127.0.0.1:"+port) {
		t.Errorf("%v: the status does not say what the name stands for:\n%s", err, out)
	}
}
