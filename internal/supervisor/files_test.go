package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/certs"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// store writes a certificate with its key to one file.
func store(t *testing.T, path string, p securetest.Pair) {
	t.Helper()
	if err := os.WriteFile(path, append(p.Cert, p.Key...), 0o600); err != nil {
		t.Fatal(err)
	}
}

func secureConfig(bind, certificate string) string {
	return fmt.Sprintf("listeners: {web: {bind: %q, tls: %q, servers: 127.0.0.1:1}}\n", bind, certificate)
}

func TestChangedFilesReachTheWorker(t *testing.T) {
	ca := securetest.New(t, "Root")
	path := filepath.Join(t.TempDir(), "web.pem")
	issue := func(serial int64) {
		store(t, path, ca.Issue(t, securetest.Leaf{Names: []string{"web.example"}, Serial: serial}))
	}
	issue(1)
	s := newPlainNode(t, secureConfig(freeAddress(t), path))
	content, _ := os.ReadFile(path)
	if got := s.worker.view().serving.Files[path]; string(got) != string(content) {
		t.Error("the worker was not given the file with its config")
	}
	background(t, s.runFiles)
	issue(2)
	content, _ = os.ReadFile(path)
	eventually(t, "the worker was given the changed file", func() bool {
		v := s.worker.view()
		if v.state == nil {
			return false
		}
		last := v.state.Listeners[len(v.state.Listeners)-1]
		return last.Name == "files" && last.Accepted == 1 && string(v.serving.Files[path]) == string(content)
	})
	var events []admin.Event
	eventually(t, "the timeline tells it", func() bool {
		events = nil
		for _, e := range s.history.Events(time.Time{}, 100) {
			if e.Kind == admin.CertificateEvent && e.What == "changed, taken up" {
				events = append(events, e)
			}
		}
		return len(events) == 1
	})
	before := s.worker.view().pid
	s.worker.proc.Kill()
	eventually(t, "another worker serves", func() bool { v := s.worker.view(); return v.ready && v.pid != before })
	if got := s.worker.view().serving.Files[path]; string(got) != string(content) {
		t.Error("the worker after it was not given the changed file")
	}
	st := s.status(time.Now()).Certificates
	if len(st.List) != 1 || st.List[0].Serial != "2" || st.Reloads != 1 || st.Errors != 0 {
		t.Errorf("status = %+v", st)
	}
}

func TestAConfigWithBadFilesIsRefused(t *testing.T) {
	ca := securetest.New(t, "Root")
	good, bad := filepath.Join(t.TempDir(), "good.pem"), filepath.Join(t.TempDir(), "bad.pem")
	store(t, good, ca.Issue(t, securetest.Leaf{Names: []string{"web.example"}}))
	if err := os.WriteFile(bad, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	bind := freeAddress(t)
	s := newPlainNode(t, secureConfig(bind, good))
	rewrite(t, s.o, secureConfig(bind, bad))
	err := s.Reload(t.Context())
	if err == nil || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), s.o.ConfigPath) {
		t.Errorf("Reload = %v, want an error about %s", err, bad)
	}
	if _, err := load(s.o, 1, nil); err == nil {
		t.Error("a node starts with it")
	}
	if st := s.status(time.Now()); st.Config.Refused == "" || len(st.Certificates.List) != 1 {
		t.Errorf("status = %+v", st.Config)
	}
}

// What the worker refuses is not in use: neither the status says so, nor is the next
// worker given it.
func TestFilesThatTheWorkerRefusesAreNotInUse(t *testing.T) {
	t.Setenv(conduct, "refuses files")
	ca := securetest.New(t, "Root")
	path := filepath.Join(t.TempDir(), "web.pem")
	issue := func(serial int64) {
		store(t, path, ca.Issue(t, securetest.Leaf{Names: []string{"web.example"}, Serial: serial}))
	}
	issue(1)
	before, _ := os.ReadFile(path)
	s := newPlainNode(t, secureConfig(freeAddress(t), path))
	issue(2)
	background(t, s.runFiles)
	var st admin.Certificates
	eventually(t, "the status says that they are refused", func() bool {
		st = s.status(time.Now()).Certificates
		return len(st.Problems) == 1
	})
	if p := st.Problems[0]; !strings.Contains(p.Error, "no room for files") || st.List[0].Serial != "1" || st.Reloads != 0 || st.Errors != 1 {
		t.Errorf("status = %+v", st)
	}
	if got := s.worker.view().serving.Files[path]; string(got) != string(before) {
		t.Error("the next worker is to be given what this one has refused")
	}
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := s.status(time.Now()).Certificates; st.List[0].Serial != "2" || len(st.Problems) != 0 {
		t.Errorf("after a reload, which offers all files again, status = %+v", st)
	}
}

// Addresses of servers change often, and files may be large.
func TestTheWorkerIsNotGivenAgainTheFilesThatItHas(t *testing.T) {
	ca := securetest.New(t, "Root")
	path := filepath.Join(t.TempDir(), "web.pem")
	store(t, path, ca.Issue(t, securetest.Leaf{Names: []string{"web.example"}}))
	bind := freeAddress(t)
	s := newPlainNode(t, secureConfig(bind, path))
	files := func(n int) uint64 {
		var all []ipc.ListenerState
		eventually(t, "the worker is given a config", func() bool {
			if st := s.worker.view().state; st != nil {
				all = st.Listeners
			}
			return len(all) == n
		})
		return all[n-1].Requests
	}
	if got := files(1); got != 1 {
		t.Errorf("with the first config come %d files", got)
	}
	rewrite(t, s.o, secureConfig(bind, path)+"log: {level: warn}\n")
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := files(2); got != 0 {
		t.Errorf("with the same files again come %d", got)
	}
	before := s.worker.view().pid
	s.worker.proc.Kill()
	eventually(t, "another worker serves", func() bool { v := s.worker.view(); return v.ready && v.pid != before })
	if got := files(1); got != 1 {
		t.Errorf("another worker is given %d files", got)
	}
	store(t, path, ca.Issue(t, securetest.Leaf{Names: []string{"web.example"}}))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := files(2); got != 1 {
		t.Errorf("with another file comes %d", got)
	}
}

func TestAFileOfManyListenersIsOneEvent(t *testing.T) {
	now := time.Unix(1000, 0)
	var got []string
	for _, e := range noticeEvents(now, []certs.Notice{
		{Listener: "a", Path: "/x.pem", Text: "expires"}, {Listener: "b", Path: "/x.pem", Text: "expires"},
		{Listener: "b", Path: "/x.pem", Text: "is weak"}, {Pool: "p", Path: "/y.pem", Text: "expires"},
	}) {
		got = append(got, e.Subject+" "+e.What)
	}
	if want := "/x.pem expires, /x.pem is weak, /y.pem expires"; strings.Join(got, ", ") != want {
		t.Errorf("events %q, want %s", got, want)
	}
}
