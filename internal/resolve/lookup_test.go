package resolve

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// zone is a nameserver on loopback, for UDP and TCP on the same port.
type zone struct {
	options Options
	mu      sync.Mutex
	asked   []string // name and type, and how
	records []dns.RR
	fails   map[string]int // rcode by name
	big     bool           // UDP answers are truncated
	old     bool           // it refuses EDNS0
}

func newZone(t *testing.T, conf string, records ...string) *zone {
	t.Helper()
	z := &zone{fails: map[string]int{}}
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Fatal(err)
		}
		z.records = append(z.records, rr)
	}
	dir := t.TempDir()
	z.options = Options{ResolvConf: filepath.Join(dir, "resolv.conf"), Hosts: filepath.Join(dir, "hosts")}
	write(t, z.options.ResolvConf, conf+"\nnameserver 127.0.0.1\n")
	write(t, z.options.Hosts, "127.0.0.1 localhost\n192.0.2.77 Plain other # comment plain2\n2001:db8::77 plain\n")
	return z
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// serve starts the server, and returns an asker that uses it.
func (z *zone) serve(t *testing.T) asker {
	t.Helper()
	// The same port for both is not always free: some attempts find one.
	for range 20 {
		p, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", p.LocalAddr().String())
		if err != nil {
			p.Close()
			continue
		}
		for _, s := range []*dns.Server{{PacketConn: p, Handler: z}, {Listener: l, Handler: z}} {
			started := make(chan struct{})
			s.NotifyStartedFunc = func() { close(started) }
			done := make(chan error)
			go func() { done <- s.ActivateAndServe() }()
			<-started
			t.Cleanup(func() {
				_ = s.Shutdown()
				<-done
			})
		}
		c, err := readConf(z.options.ResolvConf)
		if err != nil {
			t.Fatal(err)
		}
		c.servers = []string{p.LocalAddr().String()}
		return asker{conf: c, hosts: z.options.Hosts}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return asker{}
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	how := w.LocalAddr().Network()
	ask := q.Question[0]
	z.asked = append(z.asked, fmt.Sprintf("%s %s %s", ask.Name, dns.TypeToString[ask.Qtype], how))
	m := new(dns.Msg).SetReply(q)
	exists := false
	for _, rr := range z.records {
		if rr.Header().Name == ask.Name {
			exists = true
			if rr.Header().Rrtype == ask.Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	switch code, fails := z.fails[ask.Name]; {
	case z.old && q.IsEdns0() != nil:
		m = new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
	case fails:
		m = new(dns.Msg).SetRcode(q, code)
	case !exists:
		m.Rcode = dns.RcodeNameError
	case z.big && how == "udp":
		m.Answer, m.Truncated = nil, true
	}
	_ = w.WriteMsg(m)
}

func (z *zone) questions() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return strings.Join(z.asked, "\n")
}

func TestAddressesOfBothFamilies(t *testing.T) {
	z := newZone(t, "", "web.internal. 30 IN A 192.0.2.1", "web.internal. 20 IN A 192.0.2.2", "web.internal. 60 IN AAAA 2001:db8::1")
	for name, set := range map[string]func(){
		"plainly":            func() {},
		"over TCP when long": func() { z.big = true },
		"without EDNS0":      func() { z.big, z.old = false, true },
	} {
		t.Run(name, func(t *testing.T) {
			z.big, z.old = false, false
			set()
			addrs, ttl, err := z.serve(t).addresses(t.Context(), "web.internal")
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(addrs); got != "[192.0.2.1 192.0.2.2 2001:db8::1]" || ttl != 20*time.Second {
				t.Errorf("%s for %v, want the least TTL, 20s", got, ttl)
			}
		})
	}
}

func TestSearchListAndDots(t *testing.T) {
	records := []string{"web.corp.test. 30 IN A 192.0.2.1", "web.internal. 30 IN A 192.0.2.2", "a.b.corp.test. 30 IN A 192.0.2.3"}
	for _, tc := range []struct{ conf, name, want, asked string }{
		{"search lab.test corp.test", "web", "[192.0.2.1]", "web.lab.test. A udp\nweb.lab.test. AAAA udp\nweb.corp.test. A udp\nweb.corp.test. AAAA udp"},
		{"search corp.test", "web.internal", "[192.0.2.2]", "web.internal. A udp\nweb.internal. AAAA udp"},
		{"search corp.test", "a.b", "[192.0.2.3]", "a.b. A udp\na.b. AAAA udp\na.b.corp.test. A udp\na.b.corp.test. AAAA udp"},
		{"search corp.test\noptions ndots:2", "a.b", "[192.0.2.3]", "a.b.corp.test. A udp\na.b.corp.test. AAAA udp"},
		{"search corp.test", "web.internal.", "[192.0.2.2]", "web.internal. A udp\nweb.internal. AAAA udp"},
		{"search corp.test", "plain", "[192.0.2.77 2001:db8::77]", ""},
	} {
		t.Run(tc.conf+" "+tc.name, func(t *testing.T) {
			z := newZone(t, tc.conf, records...)
			addrs, _, err := z.serve(t).addresses(t.Context(), tc.name)
			if err != nil || fmt.Sprint(addrs) != tc.want {
				t.Errorf("%v, %v, want %s", addrs, err, tc.want)
			}
			if diff := cmp.Diff(tc.asked, z.questions()); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServiceRecords(t *testing.T) {
	z := newZone(t, "",
		"_http._tcp.web. 60 IN SRV 10 5 8080 a.web.", "_http._tcp.web. 60 IN SRV 20 6 8081 b.web.", "_http._tcp.web. 60 IN SRV 10 7 8082 gone.web.",
		"a.web. 30 IN A 192.0.2.1", "b.web. 15 IN AAAA 2001:db8::2", "_none._tcp.web. 60 IN SRV 0 0 0 .")
	q := z.serve(t)
	got := q.services(t.Context(), "_http._tcp.web")
	if got.err != nil || got.ttl != 15*time.Second {
		t.Fatalf("%+v", got)
	}
	if text := fmt.Sprint(got.targets); text != "[{192.0.2.1:8080 10 5 true} {[2001:db8::2]:8081 20 6 true}]" {
		t.Errorf("targets %s", text)
	}
	if got := q.services(t.Context(), "_none._tcp.web"); !errors.Is(got.err, errEmpty) {
		t.Errorf("a service that is declared absent: %+v", got)
	}
	z.mu.Lock()
	z.fails["b.web."] = dns.RcodeServerFailure
	z.mu.Unlock()
	if got := q.services(t.Context(), "_http._tcp.web"); got.err == nil || errors.Is(got.err, errEmpty) {
		t.Errorf("half an answer is taken for a whole one: %+v", got)
	}
}

func TestFailureIsNotAbsence(t *testing.T) {
	z := newZone(t, "options timeout:1 attempts:1", "web.internal. 30 IN A 192.0.2.1")
	z.fails["bad.internal."] = dns.RcodeServerFailure
	q := z.serve(t)
	if _, _, err := q.addresses(t.Context(), "absent.internal"); !errors.Is(err, errEmpty) {
		t.Errorf("a name that does not exist: %v", err)
	}
	_, _, err := q.addresses(t.Context(), "bad.internal")
	if err == nil || errors.Is(err, errEmpty) || !strings.Contains(err.Error(), "for bad.internal: it answers SERVFAIL") {
		t.Errorf("a server that fails: %v", err)
	}
	// A closed port answers at once; the next server is asked.
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.LocalAddr().String()
	l.Close()
	q.conf.servers = append([]string{dead}, q.conf.servers...)
	if addrs, _, err := q.addresses(t.Context(), "web.internal"); err != nil || len(addrs) != 1 {
		t.Errorf("with a dead server before: %v, %v", addrs, err)
	}
}

func TestLookupReadsTheFilesOfTheHost(t *testing.T) {
	z := newZone(t, "")
	got := lookup(t.Context(), z.options, "plain:8080")
	if got.err != nil || fmt.Sprint(got.targets) != "[{192.0.2.77:8080 0 0 false} {[2001:db8::77]:8080 0 0 false}]" {
		t.Errorf("%+v", got)
	}
	z.options.ResolvConf += ".absent"
	if got := lookup(t.Context(), z.options, "web.internal:80"); got.err == nil || !strings.Contains(got.err.Error(), "read "+z.options.ResolvConf) {
		t.Errorf("without the file: %v", got.err)
	}
}
