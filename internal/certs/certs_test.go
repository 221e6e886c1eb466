package certs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// disk is a directory with the files of a config.
type disk struct {
	t   *testing.T
	dir string
	ca  *securetest.Authority
}

func newDisk(t *testing.T) *disk {
	return &disk{t: t, dir: t.TempDir(), ca: securetest.New(t, "Test Root")}
}

func (d *disk) path(name string) string { return filepath.Join(d.dir, name) }

// write puts a file in the place of one that may be there, under the same inode.
func (d *disk) write(name string, content []byte) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), content, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// pair issues a certificate for name.
func (d *disk) pair(name string) securetest.Pair {
	d.t.Helper()
	return d.ca.Issue(d.t, securetest.Leaf{Names: []string{name}})
}

// put writes a certificate and its key as NAME.pem and NAME.key.
func (d *disk) put(name string, p securetest.Pair) {
	d.t.Helper()
	d.write(name+".pem", p.Cert)
	d.write(name+".key", p.Key)
}

func (d *disk) certificate(name string) proxy.Certificate {
	return proxy.Certificate{Cert: d.path(name + ".pem"), Key: d.path(name + ".key")}
}

// listener is one with the certificates of those names.
func (d *disk) listener(names ...string) proxy.Listener {
	l := proxy.Listener{Name: "web", Protocol: proxy.HTTP, TLS: &proxy.ListenerTLS{MinVersion: proxy.TLS12}}
	for _, name := range names {
		l.TLS.Certificates = append(l.TLS.Certificates, d.certificate(name))
	}
	return l
}

func (d *disk) load(spec proxy.Spec, now time.Time) *Keeper {
	d.t.Helper()
	k, err := Load(spec, now, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return k
}

// turn is one look at the files, after while.
type turn struct {
	k   *Keeper
	now time.Time
}

func (u *turn) after(while time.Duration) Change {
	u.now = u.now.Add(while)
	if !u.k.Look(u.now) {
		return Change{}
	}
	return u.k.Take(u.now)
}

// paths returns the names of the files of a change, sorted.
func (c Change) names() []string {
	var all []string
	for path := range c.Files {
		all = append(all, filepath.Base(path))
	}
	slices.Sort(all)
	return all
}

func TestFilesThatCannotBeUsedAreRefused(t *testing.T) {
	d := newDisk(t)
	d.put("good", d.pair("good.example"))
	d.put("other", d.pair("other.example"))
	d.write("empty.pem", nil)
	d.write("empty.key", nil)
	d.write("ca.pem", d.ca.PEM())
	d.write("stranger.crl", securetest.New(t, "Stranger").Revoke(t, time.Now().Add(time.Hour)))
	d.write("large.pem", make([]byte, maxFile+1))
	if err := unix.Mkfifo(d.path("pipe.pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		tls  proxy.ListenerTLS
		want []string
	}{
		{"there is none", proxy.ListenerTLS{Certificates: []proxy.Certificate{d.certificate("none")}},
			[]string{`read "` + d.path("none.key") + `": no such file`, `read "` + d.path("none.pem") + `": no such file`}},
		{"it is empty", proxy.ListenerTLS{Certificates: []proxy.Certificate{d.certificate("empty")}},
			[]string{`listener "web": `, "no certificate in " + `"` + d.path("empty.pem") + `"`}},
		{"it is a pipe", proxy.ListenerTLS{Certificates: []proxy.Certificate{{Cert: d.path("pipe.pem"), Key: d.path("good.key")}}},
			[]string{`read "` + d.path("pipe.pem") + `": it is not a regular file`}},
		{"it is a directory", proxy.ListenerTLS{Certificates: []proxy.Certificate{{Cert: d.dir, Key: d.path("good.key")}}},
			[]string{`read "` + d.dir + `": it is not a regular file`}},
		{"it is large", proxy.ListenerTLS{Certificates: []proxy.Certificate{{Cert: d.path("large.pem"), Key: d.path("good.key")}}},
			[]string{`read "` + d.path("large.pem") + `": it is larger than 4 MiB`}},
		{"the key is of another", proxy.ListenerTLS{Certificates: []proxy.Certificate{{Cert: d.path("good.pem"), Key: d.path("other.key")}}},
			[]string{`listener "web": the key in "` + d.path("other.key") + `" does not belong to the certificate in "` + d.path("good.pem") + `"`}},
		{"the list is of another", proxy.ListenerTLS{
			Certificates: []proxy.Certificate{d.certificate("good")},
			ClientAuth:   proxy.ClientAuthRequire, ClientCA: d.path("ca.pem"), ClientCRL: d.path("stranger.crl"),
		}, []string{`"` + d.path("stranger.crl") + `"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(proxy.Spec{Listeners: []proxy.Listener{{Name: "web", Protocol: proxy.HTTP, TLS: &tt.tls}}}, time.Now(), nil)
			if err == nil {
				t.Fatal("the files are taken")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestFilesOfPoolsAreJudged(t *testing.T) {
	d := newDisk(t)
	d.put("lb", d.pair("lb.internal"))
	d.write("ca.pem", d.ca.PEM())
	pool := func(tls proxy.PoolTLS) proxy.Spec { return proxy.Spec{Pools: []proxy.Pool{{Name: "web", TLS: &tls}}} }
	own := d.certificate("lb")
	good := pool(proxy.PoolTLS{CA: d.path("ca.pem"), Cert: own.Cert, Key: own.Key})
	k := d.load(good, time.Now())
	if got := len(k.Files()); got != 3 {
		t.Errorf("%d files, want 3", got)
	}
	if all := k.Status(time.Now()).Certificates; len(all) != 1 || all[0].Pool != "web" || !slices.Equal(all[0].Names, []string{"lb.internal"}) {
		t.Errorf("certificates = %+v", all)
	}
	for _, bad := range []proxy.PoolTLS{
		{CA: own.Key},
		{CA: d.path("ca.pem"), Cert: own.Cert, Key: d.path("ca.pem")},
	} {
		if _, err := Load(pool(bad), time.Now(), nil); err == nil || !strings.HasPrefix(err.Error(), `pool "web": `) {
			t.Errorf("Load of %+v = %v, want an error of the pool", bad, err)
		}
	}
}

func TestARenewalIsTakenUpAsAWhole(t *testing.T) {
	d := newDisk(t)
	d.put("a", d.pair("a.example"))
	u := &turn{d.load(proxy.Spec{Listeners: []proxy.Listener{d.listener("a")}}, time.Now()), time.Now()}
	before := u.k.Files()
	if c := u.after(every); c.Files != nil || c.Events != nil || c.Notices == nil {
		t.Errorf("change without one: %+v", c)
	}

	renewed := d.ca.Issue(t, securetest.Leaf{Names: []string{"a.example"}, Serial: 7, NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	d.write("a.pem", renewed.Cert)
	if c := u.after(every); c.Files != nil || c.Events != nil || !cmp.Equal(u.k.Files(), before) {
		t.Errorf("a certificate without its key is taken up: %+v", c)
	}
	d.write("a.key", renewed.Key)
	c := u.after(every)
	if diff := cmp.Diff([]string{"a.key", "a.pem"}, c.names()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if len(c.Events) != 1 || c.Events[0].Err != nil {
		t.Errorf("events = %+v, want one without an error", c.Events)
	}
	if got := u.k.Status(u.now).Certificates[0].Serial; got != "7" {
		t.Errorf("the status has the certificate %s", got)
	}
	if got, want := u.k.Status(u.now).Counts, (Counts{Reloads: 1}); got != want {
		t.Errorf("counts = %+v, want %+v", got, want)
	}
	if c := u.after(every); c.Files != nil || c.Events != nil {
		t.Errorf("it is taken up again: %+v", c)
	}
}

func TestBadFilesAreToldOfOnceTheyStay(t *testing.T) {
	d := newDisk(t)
	first := d.pair("a.example")
	d.put("a", first)
	u := &turn{d.load(proxy.Spec{Listeners: []proxy.Listener{d.listener("a")}}, time.Now()), time.Now()}
	before := u.k.Files()
	d.write("a.pem", []byte("half of a certif"))
	told := 0
	for range 10 {
		c := u.after(every)
		told += len(c.Events)
		if c.Files != nil {
			t.Fatalf("bad files are taken up: %+v", c)
		}
		for _, e := range c.Events {
			if e.Err == nil || !strings.Contains(e.Err.Error(), d.path("a.pem")) {
				t.Errorf("event = %+v, want an error about the file", e)
			}
		}
	}
	if told != 1 || u.k.Status(u.now).Counts.Errors != 1 {
		t.Errorf("told %d times, counted %d, want once", told, u.k.Status(u.now).Counts.Errors)
	}
	if p := u.k.Status(u.now).Problems; len(p) != 1 || p[0].Err == nil || p[0].Since.IsZero() {
		t.Errorf("problems = %+v, want one", p)
	}
	if !cmp.Equal(u.k.Files(), before) {
		t.Error("the files in use are others")
	}
	if err := os.Remove(d.path("a.pem")); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if u.after(every); len(u.k.Status(u.now).Problems) != 1 {
			t.Error("the problem is not told of while it changes")
		}
	}
	if p := u.k.Status(u.now).Problems; len(p) != 1 || !strings.Contains(p[0].Err.Error(), "no such file") {
		t.Errorf("problems of a file that is gone = %+v", p)
	}
	d.write("a.pem", first.Cert)
	if c := u.after(every); len(c.Events) != 1 || !c.Events[0].Back || c.Files != nil {
		t.Errorf("of the old files, back again: %+v, want an event that it is over", c)
	}
	if c := u.after(every); len(c.Events) != 0 {
		t.Errorf("told twice: %+v", c)
	}
	if p := u.k.Status(u.now).Problems; len(p) != 0 {
		t.Errorf("problems of the old files, back again = %+v", p)
	}
	d.put("a", d.pair("a.example"))
	if c := u.after(every); len(c.Files) != 2 {
		t.Errorf("good files are not taken up: %+v", c)
	}
}
