package certs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

func TestABadCertificateHoldsNoOtherUp(t *testing.T) {
	d := newDisk(t)
	d.put("a", d.pair("a.example"))
	d.put("b", d.pair("b.example"))
	d.write("ca.pem", d.ca.PEM())
	l := d.listener("a", "b")
	l.TLS.ClientCA, l.TLS.ClientAuth = d.path("ca.pem"), proxy.ClientAuthRequire
	u := &turn{d.load(proxy.Spec{Listeners: []proxy.Listener{l}}, time.Now()), time.Now()}
	d.write("a.pem", nil)
	d.write("ca.pem", nil)
	d.put("b", d.pair("b.example"))
	c := u.after(every)
	if diff := cmp.Diff([]string{"b.key", "b.pem"}, c.names()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	u.after(grace)
	if p := u.k.Status(u.now).Problems; len(p) != 2 {
		t.Errorf("problems = %+v, want those of a.pem and of ca.pem", p)
	}
}

func TestFilesOfTwoUsersAreTakenUpForBoth(t *testing.T) {
	d := newDisk(t)
	d.put("a", d.pair("a.example"))
	own := d.certificate("a")
	spec := proxy.Spec{
		Listeners: []proxy.Listener{d.listener("a")},
		Pools:     []proxy.Pool{{Name: "web", TLS: &proxy.PoolTLS{Cert: own.Cert, Key: own.Key, Insecure: true}}},
	}
	u := &turn{d.load(spec, time.Now()), time.Now()}
	d.put("a", d.ca.Issue(t, securetest.Leaf{Names: []string{"a.example"}, Serial: 9}))
	if c := u.after(every); len(c.Events) != 1 {
		t.Errorf("events = %+v, want one", c.Events)
	}
	for _, c := range u.k.Status(u.now).Certificates {
		if c.Serial != "9" {
			t.Errorf("%q%q has the certificate %s", c.Listener, c.Pool, c.Serial)
		}
	}
}

func TestListsOfRevokedCertificatesAreTold(t *testing.T) {
	d := newDisk(t)
	d.put("a", d.pair("a.example"))
	d.write("ca.pem", d.ca.PEM())
	next := time.Now().Add(time.Hour).Truncate(time.Second)
	d.write("ca.crl", d.ca.Revoke(t, next, 1, 2))
	l := d.listener("a")
	l.TLS.ClientCA, l.TLS.ClientCRL, l.TLS.ClientAuth = d.path("ca.pem"), d.path("ca.crl"), proxy.ClientAuthRequire
	u := &turn{d.load(proxy.Spec{Listeners: []proxy.Listener{l}}, time.Now()), time.Now()}
	got := u.k.Status(u.now).Lists
	if len(got) != 1 || got[0].Listener != "web" || got[0].Path != d.path("ca.crl") || got[0].Issuer != "CN=Test Root" || got[0].Revoked != 2 || !got[0].Next.Equal(next) {
		t.Errorf("lists = %+v", got)
	}
	d.write("ca.crl", d.ca.Revoke(t, next.Add(time.Hour)))
	u.after(every)
	if got := u.k.Status(u.now).Lists; len(got) != 1 || got[0].Revoked != 0 || !got[0].Next.Equal(next.Add(time.Hour)) {
		t.Errorf("lists after another one = %+v", got)
	}
}

// Certbot and Kubernetes turn a symbolic link.
func TestALinkThatIsTurnedIsSeen(t *testing.T) {
	d := newDisk(t)
	for i, version := range []string{"1", "2"} {
		if err := os.Mkdir(d.path(version), 0o700); err != nil {
			t.Fatal(err)
		}
		d.put(version+"/tls", d.ca.Issue(t, securetest.Leaf{Names: []string{"a.example"}, Serial: int64(i + 1)}))
	}
	turnTo := func(version string) {
		t.Helper()
		if err := os.Symlink(version, d.path("..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(d.path("..new"), d.path("..data")); err != nil {
			t.Fatal(err)
		}
	}
	turnTo("1")
	for _, name := range []string{"tls.pem", "tls.key"} {
		if err := os.Symlink("..data/"+name, d.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	u := &turn{d.load(proxy.Spec{Listeners: []proxy.Listener{d.listener("tls")}}, time.Now()), time.Now()}
	u.after(time.Minute)
	turnTo("2")
	if c := u.after(every); len(c.Files) != 2 {
		t.Errorf("files = %v, want both", c.names())
	}
	if got := u.k.Status(u.now).Certificates[0].Serial; got != "2" {
		t.Errorf("the certificate in use is %s", got)
	}
}

// A file of the same length that is given its old time back is another one still.
func TestTimesThatAreSetDeceiveNobody(t *testing.T) {
	d := newDisk(t)
	d.put("a", d.pair("a.example"))
	spec := proxy.Spec{Listeners: []proxy.Listener{d.listener("a")}}
	old := time.Now().Add(-time.Hour)
	reset := func() {
		t.Helper()
		for _, name := range []string{"a.pem", "a.key"} {
			if err := os.Chtimes(d.path(name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	reset()
	u := &turn{d.load(spec, time.Now()), time.Now()}
	u.after(every)
	before, _ := os.ReadFile(d.path("a.pem"))
	next := d.pair("a.example")
	for len(next.Cert) != len(before) { // signatures differ by a byte
		next = d.pair("a.example")
	}
	d.put("a", next)
	reset()
	if c := u.after(every); len(c.Files) != 2 {
		t.Errorf("files = %v, want both", c.names())
	}
}

func TestNotices(t *testing.T) {
	d := newDisk(t)
	now := time.Now()
	day := 24 * time.Hour
	for name, leaf := range map[string]securetest.Leaf{
		"fine":    {NotAfter: now.Add(60 * day)},
		"ending":  {NotAfter: now.Add(5*day + time.Hour)},
		"last":    {NotAfter: now.Add(time.Hour)},
		"expired": {NotBefore: now.Add(-2 * day), NotAfter: now.Add(-day)},
		"early":   {NotBefore: now.Add(day), NotAfter: now.Add(60 * day)},
		"open":    {NotAfter: now.Add(60 * day)},
	} {
		leaf.Names = []string{name + ".example"}
		d.put(name, d.ca.Issue(t, leaf))
	}
	if err := os.Chmod(d.path("open.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	k := d.load(proxy.Spec{Listeners: []proxy.Listener{d.listener("fine", "ending", "last", "expired", "early", "open")}}, now)
	got := map[string]string{}
	for _, n := range k.Status(now).Notices {
		name := strings.TrimSuffix(filepath.Base(n.Path), ".pem")
		if got[name] != "" {
			t.Errorf("two notices of %s: %s, %s", name, got[name], n.Text)
		}
		got[name] = n.Text
	}
	for name, want := range map[string]string{
		"ending": "expires in 5 days", "last": "expires within a day", "expired": "has expired", "early": "is not valid before", "open": "chmod o-rwx " + d.path("open.key"),
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("notice of %s = %q, want %q in it", name, got[name], want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("further notices: %v", got)
	}
	if !k.Look(now) {
		t.Fatal("there is nothing to be told")
	}
	if n := len(k.Take(now).Notices); n != 5 {
		t.Errorf("Take tells %d notices, want 5", n)
	}
	if k.Look(now.Add(every)) {
		t.Error("what was told is to be told again")
	}
	if again := d.load(k.spec, now); !again.Look(now) {
		t.Error("another process does not tell it")
	}
	if next, err := Load(k.spec, now, k); err != nil || next.Look(now.Add(every)) {
		t.Errorf("the keeper of the next config tells it again (%v)", err)
	}
	// A day later it is told once more.
	if c := k.Take(now.Add(day)); !slices.ContainsFunc(c.Notices, func(n Notice) bool { return strings.Contains(n.Text, "in 4 days") }) {
		t.Errorf("notices a day later: %v", c.Notices)
	}
}

func TestRun(t *testing.T) {
	d := newDisk(t)
	d.put("a", d.pair("a.example"))
	spec := proxy.Spec{Listeners: []proxy.Listener{d.listener("a")}}
	next := d.pair("a.example")
	synctest.Test(t, func(t *testing.T) {
		k := d.load(spec, time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		changes := make(chan Change, 10)
		done := make(chan struct{})
		go func() {
			defer close(done)
			Run(ctx, func() *Keeper { return k }, func(k *Keeper) {
				if c := k.Take(time.Now()); c.Files != nil {
					changes <- c
				}
			})
		}()
		synctest.Wait()
		d.put("a", next)
		began := time.Now()
		<-changes
		if took := time.Since(began); took > every {
			t.Errorf("a change was seen after %v", took)
		}
		cancel()
		<-done
	})
}

// What is bad stays bad until it changes: it is not judged again and again, and what was
// refused elsewhere is offered again after a while.
func TestRefusedFilesAreNotJudgedAgain(t *testing.T) {
	d := newDisk(t)
	d.put("a", d.pair("a.example"))
	d.put("b", d.pair("b.example"))
	u := &turn{d.load(proxy.Spec{Listeners: []proxy.Listener{d.listener("a", "b")}}, time.Now()), time.Now()}
	u.after(every)
	d.write("a.pem", []byte("bad"))
	due := func() bool {
		u.now = u.now.Add(every)
		return u.k.Look(u.now)
	}
	if !due() {
		t.Fatal("a change is not seen")
	}
	u.k.Take(u.now)
	if due() {
		t.Error("what was judged is judged again")
	}
	u.now = u.now.Add(grace)
	if c := u.after(0); len(c.Events) != 1 {
		t.Errorf("events = %+v, want the one that it lasts", c.Events)
	}
	for range 10 {
		if due() {
			t.Error("what was told is told again")
		}
	}

	d.put("b", d.pair("b.example"))
	if c := u.after(every); len(c.Files) != 2 {
		t.Errorf("files = %v, want those of b", c.names())
	}
	if due() {
		u.k.Take(u.now) // beside the new files of b, those of a may be good
	}
	if due() {
		t.Error("it is judged again and again")
	}
	d.put("a", d.pair("a.example"))
	if c := u.after(every); len(c.Files) != 2 || len(u.k.Status(u.now).Problems) != 0 {
		t.Errorf("files = %v, problems %v", c.names(), u.k.Status(u.now).Problems)
	}
}

func TestFilesThatOthersRefuseAreOfferedAgain(t *testing.T) {
	d := newDisk(t)
	d.put("a", d.pair("a.example"))
	u := &turn{d.load(proxy.Spec{Listeners: []proxy.Listener{d.listener("a")}}, time.Now()), time.Now()}
	u.after(every)
	before := u.k.Files()
	serial := func() string { return u.k.Status(u.now).Certificates[0].Serial }
	old := serial()
	why := errors.New("no room")
	d.put("a", d.ca.Issue(t, securetest.Leaf{Names: []string{"a.example"}, Serial: 7}))
	for turn := range 3 {
		c := u.after(every)
		if len(c.Files) != 2 {
			t.Fatalf("turn %d: files = %v, want both", turn, c.names())
		}
		events := u.k.Refused(c, why, u.now)
		if want := turn == 0; (len(events) == 1) != want {
			t.Errorf("turn %d: events = %+v; told: want %v", turn, events, want)
		}
		if !cmp.Equal(u.k.Files(), before) || serial() != old || u.k.Status(u.now).Counts != (Counts{Errors: 1}) || len(u.k.Status(u.now).Problems) != 1 {
			t.Errorf("turn %d: serial %s, counts %+v, problems %+v", turn, serial(), u.k.Status(u.now).Counts, u.k.Status(u.now).Problems)
		}
		if c := u.after(every); c.Files != nil || c.Events != nil {
			t.Errorf("turn %d: offered again at once: %+v", turn, c)
		}
		u.now = u.now.Add(offerAgain)
	}
	if c := u.after(every); len(c.Files) != 2 || serial() != "7" || len(u.k.Status(u.now).Problems) != 0 {
		t.Errorf("taken at last: files %v, serial %s, problems %+v", c.names(), serial(), u.k.Status(u.now).Problems)
	}
}

// A server of files that does not answer holds nobody up, and is told of.
func TestAFileThatCannotBeReadToAnEnd(t *testing.T) {
	d := newDisk(t)
	d.put("a", d.pair("a.example"))
	k := d.load(proxy.Spec{Listeners: []proxy.Listener{d.listener("a")}}, time.Now())
	stuckC, goOnC, done := make(chan string, 1), make(chan struct{}), make(chan struct{})
	k.read = func(path string, r reading, _ time.Time) reading {
		select {
		case stuckC <- path:
			defer close(done)
		default:
			return r
		}
		<-goOnC
		return r
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Run(ctx, func() *Keeper { return k }, func(*Keeper) {})
	}()
	path := <-stuckC
	stuckC <- "" // none of the others
	if p := k.Status(time.Now()).Problems; len(p) != 0 {
		t.Errorf("problems at once = %+v", p)
	}
	if p := k.Status(time.Now().Add(time.Minute)).Problems; len(p) != 1 || p[0].Paths[0] != path || !strings.Contains(p[0].Err.Error(), "1m0s") {
		t.Errorf("problems = %+v, want one with %s", p, path)
	}
	cancel()
	<-ended
	close(goOnC)
	<-done
}
