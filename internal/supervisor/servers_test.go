package supervisor

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/proxy"
)

// serving returns what the worker was last told to serve of the first pool.
func servers0(s *Supervisor) []string {
	var all []string
	for _, v := range s.worker.view().serving.Spec.Pools[0].Servers {
		text := v.Name
		if v.State != proxy.Ready {
			text += " " + string(v.State)
		}
		if v.Weight != 1 {
			text += " heavy"
		}
		all = append(all, text)
	}
	return all
}

func TestServersChangeAtRuntime(t *testing.T) {
	s := newPlainNode(t, proxyConfig(freeAddress(t)))
	change := func(c admin.ServerChange) error { c.Pool = "weba"; return s.Change(t.Context(), c) }
	for _, step := range []struct {
		change admin.ServerChange
		want   []string
	}{
		{admin.ServerChange{Server: "127.0.0.1:2", Verb: "add"}, []string{"127.0.0.1:1", "127.0.0.1:2"}},
		{admin.ServerChange{Server: "127.0.0.1:1", Verb: "drain"}, []string{"127.0.0.1:1 drain", "127.0.0.1:2"}},
		{admin.ServerChange{Server: "127.0.0.1:2", Verb: "weight", Weight: 7}, []string{"127.0.0.1:1 drain", "127.0.0.1:2 heavy"}},
		{admin.ServerChange{Server: "127.0.0.1:1", Verb: "remove"}, []string{"127.0.0.1:2 heavy"}},
	} {
		if err := change(step.change); err != nil {
			t.Fatalf("%+v: %v", step.change, err)
		}
		if diff := cmp.Diff(step.want, servers0(s)); diff != "" {
			t.Errorf("after %+v (-want +got):\n%s", step.change, diff)
		}
	}

	// A reload of the same file keeps them.
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"127.0.0.1:2 heavy"}, servers0(s)); diff != "" {
		t.Errorf("after a reload (-want +got):\n%s", diff)
	}
	if n := len(s.status(s.started).RuntimeChanges); n != 2 {
		t.Errorf("%d changes in the status, want 2", n)
	}

	// What is refused changes nothing, and says what there is.
	for _, c := range []struct {
		change admin.ServerChange
		want   string
	}{
		{admin.ServerChange{Pool: "webb", Server: "127.0.0.1:1", Verb: "drain"}, `unknown pool "webb"`},
		{admin.ServerChange{Pool: "weba", Server: "127.0.0.1:9", Verb: "drain"}, `has no server "127.0.0.1:9"`},
		{admin.ServerChange{Pool: "weba", Server: "127.0.0.1:2", Verb: "add"}, "127.0.0.1:2"},
	} {
		if err := s.Change(t.Context(), c.change); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.change, err, c.want)
		}
	}
	if diff := cmp.Diff([]string{"127.0.0.1:2 heavy"}, servers0(s)); diff != "" {
		t.Errorf("after refusals (-want +got):\n%s", diff)
	}
}

// The nodes of a pair make the same cookies, others do not.
func TestStickyKeyIsThatOfThePair(t *testing.T) {
	key := func(text string, cluster string) []byte {
		k, err := stickyKey(parse(t, text), []byte(cluster))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	plain := key(pairConfig, "")
	if !bytes.Equal(plain, key(pairConfig, "")) || len(plain) != 32 {
		t.Errorf("keys of %d bytes, or another each time", len(plain))
	}
	if bytes.Equal(plain, key(strings.Replace(pairConfig, "192.0.2.12", "192.0.2.13", 1), "")) {
		t.Error("another pair has the same key")
	}
	secret := key(pairConfig, "secret")
	if bytes.Equal(secret, plain) || bytes.Equal(secret, key(pairConfig, "other secret")) {
		t.Error("the key does not depend on that of the cluster")
	}
}
