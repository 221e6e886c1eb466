package secure

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// What another node, or a later process, makes of a session.
func TestSessionsAreResumedByThoseWithTheSameKeys(t *testing.T) {
	root, clients := securetest.New(t, "root"), securetest.New(t, "clients")
	pair := root.Issue(t, securetest.Leaf{Names: []string{"a.example"}})
	own := clients.Issue(t, securetest.Leaf{Subject: "me", Serial: 7}).Certificate(t)
	keys := [][32]byte{{1}, {2}}
	next := time.Now().Add(time.Hour)
	make := func(change func(*site)) *Terms {
		s := newSite("web").show("a", pair).ask(proxy.ClientAuthRequire, clients)
		change(s)
		return s.terms(t)
	}
	same := func(*site) {}
	tests := []struct {
		name   string
		other  func(*site)
		keys   [][32]byte
		want   bool
		reason Reason // why the other refuses
	}{
		{"the same", same, keys, true, ""},
		{"with the keys in another order", same, [][32]byte{{2}, {1}}, true, ""},
		{"with a newer key", same, [][32]byte{{3}, {1}, {2}}, true, ""},
		{"with other keys", same, [][32]byte{{4}}, false, ""},
		{"with its own keys", same, nil, false, ""},
		{"with another certificate", func(s *site) { s.show("a", root.Issue(t, securetest.Leaf{Names: []string{"a.example"}})) }, keys, true, ""},
		{"of another listener", func(s *site) { s.Name = "admin" }, keys, false, ""},
		{"with other authorities", func(s *site) {
			s.files["clients.pem"] = append(s.files["clients.pem"], root.PEM()...)
		}, keys, false, ""},
		{"that lets others in, too", func(s *site) { s.TLS.ClientAuth = proxy.ClientAuthOptional }, keys, false, ""},
		{"with a list", func(s *site) { s.revoke(clients.Revoke(t, next, 8)) }, keys, false, ""},
		{"that knows it is revoked", func(s *site) { s.revoke(clients.Revoke(t, next, 7)) }, keys, false, Revoked},
	}
	for _, test := range tests {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			one := make(same)
			one.SetTicketKeys(keys)
			other := make(test.other)
			other.SetTicketKeys(test.keys)
			c := trusting(root, "a.example")
			c.MinVersion, c.MaxVersion = version, version
			c.Certificates = []tls.Certificate{own}
			c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			if got := shake(t, one.Config(), c); got.serverErr != nil || got.clientErr != nil || got.server.DidResume {
				t.Fatalf("%s: first %v, %v", test.name, got.serverErr, got.clientErr)
			}
			got := shake(t, other.Config(), c)
			switch {
			case test.reason != "":
				if got.serverErr == nil || ReasonOf(got.serverErr) != test.reason {
					t.Errorf("%s: got %v", test.name, got.serverErr)
				}
			case got.serverErr != nil || got.clientErr != nil || got.server.DidResume != test.want:
				t.Errorf("%s with %s: resumed %v, want %v; %v, %v", test.name, tls.VersionName(version), got.server.DidResume, test.want, got.serverErr, got.clientErr)
			}
			if test.want && len(got.server.VerifiedChains) == 0 {
				t.Errorf("%s: who the client is was lost", test.name)
			}
		}
	}
}

// A session does not spare a client the look at the list.
func TestARevokedClientDoesNotResume(t *testing.T) {
	root, clients := securetest.New(t, "root"), securetest.New(t, "clients")
	s := newSite("web").show("a", root.Issue(t, securetest.Leaf{Names: []string{"a.example"}})).ask(proxy.ClientAuthRequire, clients)
	terms := s.revoke(clients.Revoke(t, time.Now().Add(time.Hour), 8)).terms(t)
	c := trusting(root, "a.example")
	c.Certificates = []tls.Certificate{clients.Issue(t, securetest.Leaf{Serial: 7}).Certificate(t)}
	c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	shake(t, terms.Config(), c)
	if got := shake(t, terms.Config(), c); !got.server.DidResume {
		t.Fatal("not resumed")
	}
	// As if the list had said so from the beginning, with the very same tickets.
	terms.lists[0].serials[string([]byte{7})] = struct{}{}
	if got := shake(t, terms.Config(), c); got.serverErr == nil || ReasonOf(got.serverErr) != Revoked {
		t.Errorf("got %v", got.serverErr)
	}
}
