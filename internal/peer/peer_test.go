package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tandemlb/tandem/internal/lab/labtest"
	"github.com/tandemlb/tandem/internal/tickets"
	"github.com/tandemlb/tandem/vrrp"
)

// freePort returns a port that is free for TCP and UDP on both loopback
// addresses that the tests use.
func freePort(t *testing.T) uint16 {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		other, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port))
		l.Close()
		if err != nil {
			continue
		}
		other.Close()
		return uint16(port)
	}
	t.Fatal("no free port")
	return 0
}

// member is a Cluster that runs until the test ends or stop is called.
type member struct {
	*Cluster
	stop func()
}

func join(t *testing.T, self, other Node, port uint16, key []byte) member {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := New(Options{Self: self, Others: []Node{other}, Port: port, Key: key, Log: zap.NewNop()})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("%s: %v", self.Name, err)
		}
	})
	m := member{Cluster: c, stop: func() { cancel(); wg.Wait() }}
	t.Cleanup(m.stop)
	return m
}

// eventually waits until ok, which says what it sees.
func eventually(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	labtest.Eventually(t, 20*time.Second, what, ok)
}

var (
	lb1 = Node{"lb1", netip.MustParseAddr("127.0.0.1")}
	lb2 = Node{"lb2", netip.MustParseAddr("127.0.0.2")}
)

func TestNodesKnowEachOther(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	port := freePort(t)
	a := join(t, lb1, lb2, port, key)
	a.Publish(func(s *State) { s.ConfigHash, s.Fit, s.VIPs = "abc", true, map[string]VIP{"main": {Role: vrrp.Active}} })
	b := join(t, lb2, lb1, port, key)

	sees := func(m member, want func(View) bool) func() (bool, string) {
		return func() (bool, string) {
			v := m.Views()[0]
			return v.State != nil && want(v), fmt.Sprintf("%+v %+v", v, v.State)
		}
	}
	eventually(t, "lb2 sees lb1 active", sees(b, func(v View) bool {
		return v.Alive && v.State.Fit && v.State.ConfigHash == "abc" && v.State.VIPs["main"].Role == vrrp.Active
	}))
	eventually(t, "lb1 sees lb2 alive", sees(a, func(v View) bool { return v.Alive }))

	t.Log("# a change arrives")
	a.Publish(func(s *State) { s.Fit, s.Reason = false, "the worker is gone" })
	eventually(t, "lb2 sees lb1 unfit", sees(b, func(v View) bool { return !v.State.Fit && v.State.Reason == "the worker is gone" }))

	t.Log("# a node that leaves is silent, and what it said last is kept")
	a.stop()
	eventually(t, "lb2 sees lb1 gone", sees(b, func(v View) bool { return !v.Alive && v.State.ConfigHash == "abc" }))

	t.Log("# it comes back as a new process")
	again := join(t, lb1, lb2, port, key)
	again.Publish(func(s *State) { s.ConfigHash = "def" })
	eventually(t, "lb2 sees the new lb1", sees(b, func(v View) bool { return v.Alive && v.State.ConfigHash == "def" }))
}

func TestAnotherKeyIsAnotherCluster(t *testing.T) {
	one, two := []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32))
	for name, tc := range map[string]struct {
		key  []byte // of lb2
		want string // what lb1 says of it
	}{
		"another key": {two, "no installed keys could decrypt the message (hint: cluster.key_file"},
		"no key":      {nil, "encryption is configured but remote state is not encrypted (hint: cluster.key_file"},
	} {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			b := join(t, lb2, lb1, port, tc.key)
			eventually(t, "lb2 runs", func() (bool, string) { return b.Err() == nil, fmt.Sprint(b.Err()) })
			a := join(t, lb1, lb2, port, one)
			for _, m := range []member{a, b} {
				eventually(t, "the key is named", func() (bool, string) {
					v := m.Views()[0]
					if v.Alive || v.State != nil {
						t.Fatalf("a node with another key was let in: %+v", v)
					}
					return v.Err != nil && strings.Contains(v.Err.Error(), "cluster.key_file"), fmt.Sprint(v.Err)
				})
			}
			if err := a.Views()[0].Err; !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("lb1 says %q, want %q", err, tc.want)
			}
		})
	}
}

func TestFailedCallIsLoggedOnceForEachCause(t *testing.T) {
	core, lines := observer.New(zap.WarnLevel)
	c := New(Options{Self: lb1, Others: []Node{lb2}, Log: zap.New(core)})
	for _, step := range []struct {
		name   string
		do     func()
		lines  int
		failed bool
	}{
		{"no call has failed", func() {}, 0, false},
		{"the first failure", func() { c.called("lb2", errors.New("read 127.0.0.1:5001: i/o timeout")) }, 1, true},
		{"the same, from another port", func() { c.called("lb2", errors.New("read 127.0.0.1:5002: i/o timeout")) }, 1, true},
		{"another cause", func() { c.called("lb2", errors.New("dial: connection refused")) }, 2, true},
		{"it called itself", func() { c.alive("lb2", true) }, 2, false},
		{"a call that was under way then", func() { c.called("lb2", errors.New("dial: connection refused")) }, 2, false},
		{"it goes and fails as before", func() { c.alive("lb2", false); c.called("lb2", errors.New("dial: connection refused")) }, 3, true},
	} {
		step.do()
		if err := c.Views()[0].Err; lines.Len() != step.lines || (err != nil) != step.failed {
			t.Errorf("%s: %d lines, want %d; error %v", step.name, lines.Len(), step.lines, err)
		}
	}
}

func TestAddressThatIsNotThereYetIsTriedAgain(t *testing.T) {
	absent := Node{"lb1", netip.MustParseAddr("203.0.113.1")}
	m := join(t, absent, lb2, freePort(t), nil)
	eventually(t, "error is shown", func() (bool, string) {
		err := m.Err()
		return err != nil && strings.Contains(err.Error(), "203.0.113.1"), fmt.Sprint(err)
	})
}

func TestOldAndForeignStatesAreIgnored(t *testing.T) {
	c := New(Options{Self: lb1, Others: []Node{lb2}, Log: zap.NewNop()})
	c.heard([]byte(`{"Node":"lb2","Started":"2026-01-02T00:00:00Z","Seq":5,"ConfigHash":"new"}`))
	for name, body := range map[string]string{
		"older sequence":  `{"Node":"lb2","Started":"2026-01-02T00:00:00Z","Seq":4,"ConfigHash":"old"}`,
		"same sequence":   `{"Node":"lb2","Started":"2026-01-02T00:00:00Z","Seq":5,"ConfigHash":"old"}`,
		"earlier process": `{"Node":"lb2","Started":"2026-01-01T00:00:00Z","Seq":99,"ConfigHash":"old"}`,
		"unknown node":    `{"Node":"lb3","Started":"2026-01-03T00:00:00Z","Seq":1}`,
		"no node":         `{}`,
		"absurd epoch":    `{"Node":"lb2","Started":"2026-01-03T00:00:00Z","Seq":1,"VIPs":{"main":{"Epoch":18446744073709551615}}}`,
		"not JSON":        `]`,
		"wrong type":      `{"Node":7}`,
	} {
		c.heard([]byte(body))
		if got := c.Views()[0].State.ConfigHash; got != "new" {
			t.Errorf("%s: state became %q", name, got)
		}
	}
	c.heard([]byte(`{"Node":"lb2","Started":"2026-01-03T00:00:00Z","Seq":1,"ConfigHash":"newer"}`))
	if got := c.Views()[0].State.ConfigHash; got != "newer" {
		t.Errorf("a new process is not believed: %q", got)
	}
}

func TestPeerThatReturnsWithAnEarlierClockIsBelieved(t *testing.T) {
	c := New(Options{Self: lb1, Others: []Node{lb2}, Log: zap.NewNop()})
	before := `{"Node":"lb2","Started":"2026-01-02T00:00:00Z","Seq":5,"ConfigHash":"before"}`
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"the first process", func() { c.alive("lb2", true); c.heard([]byte(before)) }, "before"},
		{"it goes: what it said is kept", func() { c.alive("lb2", false) }, "before"},
		{"it is back and has not spoken", func() { c.alive("lb2", true) }, "before"},
		{"the next process, with an earlier clock", func() {
			c.heard([]byte(`{"Node":"lb2","Started":"2026-01-01T00:00:00Z","Seq":1,"ConfigHash":"after"}`))
		}, "after"},
		{"and what that says next", func() {
			c.heard([]byte(`{"Node":"lb2","Started":"2026-01-01T00:00:00Z","Seq":2,"ConfigHash":"later"}`))
		}, "later"},
	} {
		step.do()
		if got := c.Views()[0].State.ConfigHash; got != step.want {
			t.Errorf("%s: state %q, want %q", step.name, got, step.want)
		}
	}
}

// A process that is back before anybody noticed that it was gone.
func TestQuickReturnWithAnEarlierClockIsBelieved(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var v View
	say := func(after time.Duration, started int64, seq uint64, news bool) {
		t.Helper()
		if got := v.Hear(State{Node: "lb2", Started: time.Unix(started, 0), Seq: seq}, now.Add(after)); got != news {
			t.Errorf("after %v, process %d: news %v, want %v", after, started, got, news)
		}
	}
	say(0, 500, 1, true)
	say(time.Second, 400, 1, false) // may have been under way
	say(2*time.Second, 500, 1, false)
	say(4*time.Second, 400, 2, false) // the other one spoke two seconds ago
	say(5*time.Second, 400, 3, true)
	say(5*time.Second, 400, 4, true)
	say(6*time.Second, 500, 9, true) // the later one lives after all
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"Node":"lb2","VIPs":{"main":{"Role":"active"}}}`))
	f.Add([]byte(`{"Node":"lb2","VIPs":{"main":{"Role":"king"}}}`))
	f.Add([]byte(`{"Node":"lb2","VIPs":{"main":{"Role":"backup","Priority":149,"Epoch":7,"Source":"fe80::1%eth0"}},"Servers":3,"Reachable":2}`))
	f.Add([]byte(`{"Node":"lb2","Lost":{"main":[{"What":"gateway 192.0.2.1","Since":"2026-01-01T00:00:00Z"}],"b":null},"Slept":{"For":812000000,"Count":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(b)
		if err != nil {
			return
		}
		if s.Node == "" {
			t.Errorf("%q was accepted without a node", b)
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("%q was accepted and cannot be said again: %v", b, err)
		}
		if _, err := decode(again); err != nil && len(again) <= maxState {
			t.Errorf("%q is refused the second time: %v", b, err)
		}
	})
}

func TestKeyFiles(t *testing.T) {
	good := NewKey()
	if good == NewKey() {
		t.Fatal("two keys are equal")
	}
	for name, tc := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"good":          {good, 0o600, ""},
		"for the group": {good, 0o640, ""},
		"for everyone":  {good, 0o644, "can be read by everyone (mode 0644); hint: chmod 0600"},
		"not base64":    {"secret!", 0o600, "does not hold 32 bytes in base64"},
		"too short":     {"c2hvcnQ=", 0o600, "does not hold 32 bytes in base64"},
		"empty":         {"", 0o600, "does not hold 32 bytes in base64"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cluster.key")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			key, err := ReadKey(path)
			switch {
			case tc.want == "" && (err != nil || len(key) != 32):
				t.Errorf("got %d bytes, %v", len(key), err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := ReadKey(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "tandem keygen") {
		t.Errorf("absent file: got %v", err)
	}
}

func TestWhatIsToldArrives(t *testing.T) {
	port := freePort(t)
	heardC := make(chan string, 10)
	start := func(self, other Node) *Cluster {
		ctx, cancel := context.WithCancel(t.Context())
		c := New(Options{Self: self, Others: []Node{other}, Port: port, Log: zap.NewNop(), Receive: func(b []byte) { heardC <- self.Name + " " + string(b) }})
		var wg sync.WaitGroup
		wg.Go(func() { _ = c.Run(ctx) }) // it returns nil
		t.Cleanup(func() { cancel(); wg.Wait() })
		return c
	}
	a, b := start(lb1, lb2), start(lb2, lb1)
	for _, c := range []*Cluster{a, b} {
		eventually(t, "they are together", func() (bool, string) { return c.Views()[0].Alive, "" })
	}
	a.Tell("lb2", []byte(`{"one":1}`))
	if got := <-heardC; got != `lb2 {"one":1}` {
		t.Errorf("heard %q", got)
	}
	a.Tell("lb1", []byte("to itself"))
	a.Tell("lb3", []byte("to nobody"))
	b.Tell("lb1", nil)
	if got := <-heardC; got != "lb1 " {
		t.Errorf("heard %q", got)
	}
	t.Log("# what cannot be told does not pile up")
	lone := New(Options{Self: lb1, Others: []Node{lb2}})
	for range 10 * maxTold {
		lone.Tell("lb2", nil)
	}
	if len(lone.tell) != maxTold {
		t.Errorf("%d wait", len(lone.tell))
	}
}

// What is told may be large, and its reader slow: what the node says of itself is not
// behind it.
func TestTheStateDoesNotWaitForWhatIsTold(t *testing.T) {
	port := freePort(t)
	b := join(t, lb2, lb1, port, nil)
	ctx, cancel := context.WithCancel(t.Context())
	a := New(Options{Self: lb1, Others: []Node{lb2}, Port: port, Log: zap.NewNop()})
	stuckC, goOnC := make(chan struct{}, 1), make(chan struct{})
	send := a.deliver
	a.deliver = func(list *memberlist.Memberlist, m *memberlist.Node, body []byte) error {
		if body[0] == tellMark {
			wake(stuckC)
			<-goOnC
			return errors.New("too slow")
		}
		return send(list, m, body)
	}
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx) })
	t.Cleanup(wg.Wait)
	defer close(goOnC)
	defer cancel()
	eventually(t, "they know each other", func() (bool, string) {
		v := a.Views()[0]
		return v.Alive, fmt.Sprintf("%+v", v)
	})
	a.Tell("lb2", []byte("much"))
	<-stuckC
	for range 2 * maxTold {
		a.Tell("lb2", []byte("more"))
	}
	a.Publish(func(s *State) { s.ConfigHash = "new" })
	eventually(t, "the state arrives meanwhile", func() (bool, string) {
		v := b.Views()[0]
		return v.State != nil && v.State.ConfigHash == "new", fmt.Sprintf("%+v", v.State)
	})
	a.mu.Lock()
	waiting := len(a.tell)
	a.mu.Unlock()
	if waiting != maxTold {
		t.Errorf("%d wait to be told, want the bound of %d", waiting, maxTold)
	}
}

func TestTicketKeysTravelWithAClusterKeyAlone(t *testing.T) {
	keys := []tickets.Key{{Secret: tickets.Secret{1}, Born: time.Unix(1, 0).UTC()}}
	for name, key := range map[string][]byte{"encrypted": []byte(strings.Repeat("k", 32)), "plain": nil} {
		c := New(Options{Self: lb1, Others: []Node{lb2}, Key: key, Log: zap.NewNop()})
		c.Publish(func(s *State) { s.Tickets = keys })
		said, err := decode(c.encodeOwn())
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(State{Node: "lb2", Started: time.Unix(1, 0), Seq: 1, Tickets: keys})
		if err != nil {
			t.Fatal(err)
		}
		c.heard(body)
		heard := c.Views()[0].State.Tickets
		if want := key != nil; want != slices.Equal(said.Tickets, keys) || want != slices.Equal(heard, keys) || !want && len(said.Tickets)+len(heard) > 0 {
			t.Errorf("%s: says %d keys, believes %d", name, len(said.Tickets), len(heard))
		}
	}
}
