package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/browser"
)

// pageToken is what the pages of these tests ask for.
const pageToken = "a-token-of-32-bytes-for-the-tests"

// startWithPage runs a node with a status page, before a server that is named one.
func startWithPage(t *testing.T) (s *single, url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(pageToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // the node is somebody else then
		const nobody = 65534
		if err := errors.Join(os.Chown(token, nobody, nobody), os.Chmod(filepath.Dir(dir), 0o711)); err != nil {
			t.Fatal(err)
		}
	}
	listen := reservePort(t)
	s = runSingle(t, func(address string) string {
		return fmt.Sprintf("listeners: {web: {bind: %q, servers: [{address: %q, name: one}]}}\nadmin: {listen: %q, token_file: %q}\n",
			address, server.Listener.Addr(), listen, token)
	})
	return s, "http://" + listen
}

// state returns how the node has its server.
func (s *single) state() string {
	s.t.Helper()
	status, err := admin.NewClient(filepath.Join(s.dir, "admin.sock")).Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return status.Pools[0].Servers[0].Share.State
}

func TestStatusPageOfANode(t *testing.T) {
	s, url := startWithPage(t)
	tab := browser.Open(t)
	tab.Go(url + "/")
	tab.Type("#token", pageToken+"\r")
	tab.Wait(`document.querySelector("#headline")?.textContent === "All is well"`)
	for range 20 {
		res, err := http.Get("http://" + s.address)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	// What passes is seen to pass.
	tab.Wait(`document.querySelector("#chart-requests-requests").textContent !== "0"`)

	tab.Click(`button[data-server="one"][data-verb="drain"]`)
	tab.Click("#confirm-yes")
	tab.Wait(`document.querySelector("#verdict").textContent.includes("one is in drain")`)
	if state := s.state(); state != "drain" {
		t.Errorf("the server is in %s", state)
	}
	// What the command line does is on the page.
	if _, err := s.tandem("server", "web/one", "ready"); err != nil {
		t.Fatal(err)
	}
	tab.Wait(`document.querySelector("#headline").textContent === "All is well"`)
	tab.Wait(`document.querySelector("#timeline").textContent.includes("web/one")`)
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the console says %q", said)
	}
}

func TestANodeIsAskedByURL(t *testing.T) {
	s, url := startWithPage(t)
	ask := func(token string, args ...string) (string, error) {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/proc/self/exe", append(args, "--socket", url, "--token-file", path)...)
		cmd.Args[0] = "tandem"
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := ask(pageToken, "status"); err != nil || !strings.Contains(out, "web/one") {
		t.Errorf("status: %v\n%s", err, out)
	}
	if out, err := ask("wrong", "status"); err == nil || !strings.Contains(out, "the token is not the one") {
		t.Errorf("with a wrong token: %v\n%s", err, out)
	}
	if out, err := ask(pageToken, "server", "web/one", "maint"); err != nil || s.state() != "maint" {
		t.Errorf("maint: %v, the server is in %s\n%s", err, s.state(), out)
	}
	if out, err := ask(pageToken, "events"); err != nil || !strings.Contains(out, "maint") {
		t.Errorf("events: %v\n%s", err, out)
	}
	if out, err := s.tandem("status", "--json"); err != nil || !strings.Contains(out, `"bad_token": 1`) {
		t.Errorf("the wrong token was not counted: %v\n%s", err, out)
	}
}
