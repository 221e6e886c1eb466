package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/tandemlb/tandem/internal/admin"
)

// startResolver answers every query for an address with one, until the end of the test.
func startResolver(t *testing.T, address string) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, ended := make(chan struct{}), make(chan error, 1)
	s := &dns.Server{PacketConn: c, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		rr, err := dns.NewRR(q.Question[0].Name + " 60 IN A " + address)
		if err != nil {
			t.Error(err)
			return
		}
		a.Answer = []dns.RR{rr}
		if err := w.WriteMsg(a); err != nil {
			t.Error(err)
		}
	})}
	go func() { ended <- s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return c.LocalAddr().String()
}

// A reload adds a listener of UDP beside one of HTTP, at the same address and port; a
// further one takes it away.
func TestQueriesAreAnsweredByEveryResolver(t *testing.T) {
	t.Parallel()
	const queries = 300
	s := startSingle(t, func(http.ResponseWriter, *http.Request) {}, "")
	listener := fmt.Sprintf("listeners: {dns: {bind: %q, protocol: udp, servers: [%q, %q]}, ", s.address,
		startResolver(t, "192.0.2.1"), startResolver(t, "192.0.2.2"))
	s.reload(func(text string) string { return strings.Replace(text, "listeners: {", listener, 1) })

	answers := make(map[string]int)
	for i := range queries {
		q := new(dns.Msg).SetQuestion(fmt.Sprintf("host%d.example.", i), dns.TypeA)
		c := dns.Client{Timeout: patience} // with a port of its own for each query
		a, _, err := c.Exchange(q, s.address)
		if err != nil {
			t.Fatalf("query %d: %v", i, err)
		}
		if len(a.Answer) != 1 || a.Answer[0].Header().Name != q.Question[0].Name {
			t.Fatalf("query %d: got another one's answer: %v", i, a)
		}
		answers[a.Answer[0].(*dns.A).A.String()]++
	}
	if len(answers) != 2 || answers["192.0.2.1"] < queries/3 || answers["192.0.2.2"] < queries/3 {
		t.Errorf("answers of the two resolvers: %v", answers)
	}
	s.eventually("all of them are counted", func() bool {
		for _, l := range s.status().Listeners {
			if l.Name == "dns" {
				return l.In.Count == queries && l.Out.Count == queries && len(l.Refused) == 0
			}
		}
		return false
	})

	s.reload(func(text string) string { return strings.Replace(text, listener, "listeners: {", 1) })
	for _, l := range s.status().Listeners {
		if l.Name == "dns" {
			t.Error("the listener is still there")
		}
	}
}

func (s *single) status() (st admin.Status) {
	s.t.Helper()
	cmd := exec.Command("/proc/self/exe", "status", "--json", "--socket", filepath.Join(s.dir, "admin.sock"))
	cmd.Args[0] = "tandem"
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &st)
	}
	if err != nil {
		s.t.Fatalf("status: %v: %s", err, out)
	}
	return st
}
