package forward

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// trusting trusts the networks of the tables below.
func trusting() *Policy {
	return &Policy{
		Trusted:   []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:9::/48")},
		Pseudonym: "tandem",
		RequestID: "x-request-id",
	}
}

// field lines of a request, "Name: value" each.
type lines []string

// pass runs a request through a fresh Request and returns it, and the lines that it
// is passed on with: those that Take lets through, and those of Append.
func pass(t testing.TB, p *Policy, a Arrival, fields lines) (*Request, lines) {
	t.Helper()
	var r Request
	r.Begin(p, a)
	var out lines
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if !r.Take([]byte(name), []byte(value)) {
			out = append(out, f)
		}
	}
	r.Finish(NewIDs([32]byte{}))
	for line := range strings.SplitAfterSeq(string(r.Append(nil)), "\r\n") {
		if line != "" {
			out = append(out, strings.TrimSuffix(line, "\r\n"))
		}
	}
	return &r, out
}

func arrival(peer string) Arrival {
	a := Arrival{Port: 8080, Minor: 1, Host: []byte("shop.example")}
	if peer != "" {
		a.Peer = netip.MustParseAddr(peer)
	}
	return a
}

// without returns the lines that are not of the named fields.
func (l lines) without(names ...string) lines {
	var kept lines
next:
	for _, line := range l {
		for _, n := range names {
			if strings.HasPrefix(line, n+": ") {
				continue next
			}
		}
		kept = append(kept, line)
	}
	return kept
}

// Rule P3: what an untrusted peer says is dropped, and the fields are set.
func TestUntrustedPeerIsNotBelieved(t *testing.T) {
	want := lines{
		"X-Forwarded-For: 203.0.113.7",
		"X-Forwarded-Proto: http",
		"X-Forwarded-Host: shop.example",
		"X-Forwarded-Port: 8080",
		"X-Real-IP: 203.0.113.7",
		"Via: 1.1 tandem",
	}
	tests := []struct {
		name string
		in   lines
	}{
		{"nothing", nil},
		{"every field", lines{
			"X-Forwarded-For: 10.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Forwarded-Port: 1",
			"X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1;proto=https",
		}},
		{"in any case", lines{"x-forwarded-for: 10.0.0.1", "X-FORWARDED-PROTO: https", "fOrWaRdEd: for=10.0.0.1", "x-real-ip: 10.0.0.1"}},
		{"with underscores", lines{"X_Forwarded_For: 10.0.0.1", "X-Forwarded_Proto: https", "x_real_ip: 10.0.0.1"}},
		{"fields of the family that nobody defines", lines{"X-Forwarded-Prefix: /a", "X-Forwarded-Client-Cert: x", "X-Forwarded-: x", "X-Forwarded-Ssl: on"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, got := pass(t, trusting(), arrival("203.0.113.7"), tt.in)
			if diff := cmp.Diff(want, got.without("x-request-id")); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if r.Client() != netip.MustParseAddr("203.0.113.7") || r.HTTPS() || r.Loops() {
				t.Errorf("client %s, https %v, loops %v", r.Client(), r.HTTPS(), r.Loops())
			}
		})
	}
}

// Fields that merely resemble those of this package are none of its business.
func TestOtherFieldsPass(t *testing.T) {
	in := lines{
		"Host: a", "X: 1", "V: 1", "Forward: 1", "Forwardedd: 1", "X-Real-IPs: 1", "X-Forwarded: for=10.0.0.1",
		"Via-x: 1", "X-Request-Id-2: 1", "F: 1", ": x", "X-Forwarder-For: 1",
	}
	_, got := pass(t, trusting(), arrival("203.0.113.7"), in)
	if diff := cmp.Diff(in, got[:min(len(in), len(got))]); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// Rule P3: a trusted peer's list is continued, and the client is the right-most
// address in it that is not trusted.
func TestTrustedPeerIsBelieved(t *testing.T) {
	tests := []struct {
		name      string
		in        lines
		client    string // empty: unknown
		forwarded string // X-Forwarded-For as passed on
	}{
		{"nothing said", nil, "10.0.0.9", "10.0.0.9"},
		{"one client", lines{"X-Forwarded-For: 203.0.113.7"}, "203.0.113.7", "203.0.113.7, 10.0.0.9"},
		{"made up by the client before", lines{"X-Forwarded-For: 10.1.1.1, 198.51.100.1, 203.0.113.7"}, "203.0.113.7", "10.1.1.1, 198.51.100.1, 203.0.113.7, 10.0.0.9"},
		{"through two trusted ones", lines{"X-Forwarded-For: 203.0.113.7, 10.0.0.8"}, "203.0.113.7", "203.0.113.7, 10.0.0.8, 10.0.0.9"},
		{"all of them trusted", lines{"X-Forwarded-For: 10.0.0.7, 10.0.0.8"}, "10.0.0.7", "10.0.0.7, 10.0.0.8, 10.0.0.9"},
		{"two lines are one list", lines{"X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 203.0.113.7, 10.0.0.8"}, "203.0.113.7", "198.51.100.1, 203.0.113.7, 10.0.0.8, 10.0.0.9"},
		{"empty elements", lines{"X-Forwarded-For: , 203.0.113.7 ,\t, 10.0.0.8,"}, "203.0.113.7", "203.0.113.7, 10.0.0.8, 10.0.0.9"},
		{"an empty line", lines{"X-Forwarded-For: "}, "10.0.0.9", "10.0.0.9"},
		{"IPv6", lines{"X-Forwarded-For: 2001:DB8::7"}, "2001:db8::7", "2001:db8::7, 10.0.0.9"},
		{"IPv6 in brackets", lines{"X-Forwarded-For: [2001:db8::7]"}, "2001:db8::7", "2001:db8::7, 10.0.0.9"},
		{"trusted IPv6", lines{"X-Forwarded-For: 203.0.113.7, 2001:db8:9::1"}, "203.0.113.7", "203.0.113.7, 2001:db8:9::1, 10.0.0.9"},
		{"with ports", lines{"X-Forwarded-For: 203.0.113.7:4711, [2001:db8:9::1]:80"}, "203.0.113.7", "203.0.113.7, 2001:db8:9::1, 10.0.0.9"},
		{"IPv4 in IPv6 clothes", lines{"X-Forwarded-For: 203.0.113.7, ::ffff:10.0.0.8"}, "203.0.113.7", "203.0.113.7, 10.0.0.8, 10.0.0.9"},
		{"garbage before the client", lines{"X-Forwarded-For: <script>, 203.0.113.7"}, "203.0.113.7", "203.0.113.7, 10.0.0.9"},
		{"garbage stops the walk", lines{"X-Forwarded-For: 203.0.113.7, x, 10.0.0.8"}, "10.0.0.8", "10.0.0.8, 10.0.0.9"},
		{"a zone is garbage", lines{"X-Forwarded-For: fe80::1%eth0"}, "10.0.0.9", "10.0.0.9"},
		{"a leading zero is garbage", lines{"X-Forwarded-For: 203.0.113.07"}, "10.0.0.9", "10.0.0.9"},
		{"a port out of range is garbage", lines{"X-Forwarded-For: 203.0.113.7:65536"}, "10.0.0.9", "10.0.0.9"},
		{"an open bracket is garbage", lines{"X-Forwarded-For: [2001:db8::7"}, "10.0.0.9", "10.0.0.9"},
		{"IPv4 in brackets is garbage", lines{"X-Forwarded-For: [203.0.113.7]"}, "10.0.0.9", "10.0.0.9"},
		{"unknown hides who is before", lines{"X-Forwarded-For: 203.0.113.7, unknown, 10.0.0.8"}, "10.0.0.8", "203.0.113.7, unknown, 10.0.0.8, 10.0.0.9"},
		{"so does a made-up name", lines{"X-Forwarded-For: 203.0.113.7, _hidden.1, 10.0.0.8"}, "10.0.0.8", "203.0.113.7, _hidden.1, 10.0.0.8, 10.0.0.9"},
		{"Forwarded alone", lines{`Forwarded: for=203.0.113.7, for="[2001:db8:9::1]:80";by=_x`}, "203.0.113.7", "203.0.113.7, 2001:db8:9::1, 10.0.0.9"},
		{"Forwarded without for", lines{`Forwarded: for=203.0.113.7, proto=https`}, "10.0.0.9", "203.0.113.7, unknown, 10.0.0.9"},
		{"Forwarded with a quote that the client left open", lines{`Forwarded: for=", for=203.0.113.7`}, "203.0.113.7", "203.0.113.7, 10.0.0.9"},
		{"both, and they differ", lines{"Forwarded: for=198.51.100.1", "X-Forwarded-For: 203.0.113.7"}, "203.0.113.7", "203.0.113.7, 10.0.0.9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, out := pass(t, trusting(), arrival("10.0.0.9"), tt.in)
			if got := r.Client().String(); got != tt.client {
				t.Errorf("client %s, want %s", got, tt.client)
			}
			for _, want := range []string{"X-Forwarded-For: " + tt.forwarded, "X-Real-IP: " + tt.client} {
				if !strings.Contains(strings.Join(out, "\n")+"\n", want+"\n") {
					t.Errorf("no %q in\n%s", want, strings.Join(out, "\n"))
				}
			}
		})
	}
}

// How the client's request was, of which its own Host and connection say nothing
// when it came through a proxy.
func TestTrustedPeerSaysHowTheRequestWas(t *testing.T) {
	tests := []struct {
		name              string
		in                lines
		proto, host, port string
	}{
		{"nothing said", nil, "http", "shop.example", "8080"},
		{"proto", lines{"X-Forwarded-Proto: https"}, "https", "shop.example", "443"},
		{"plain", lines{"X-Forwarded-Proto: HTTP"}, "http", "shop.example", "80"},
		{"the last of several", lines{"X-Forwarded-Proto: https, http"}, "http", "shop.example", "80"},
		{"unknown proto", lines{"X-Forwarded-Proto: gopher"}, "http", "shop.example", "8080"},
		{"host", lines{"X-Forwarded-Host: www.example"}, "http", "www.example", "8080"},
		{"host with port", lines{"X-Forwarded-Host: www.example:8443", "X-Forwarded-Proto: https"}, "https", "www.example:8443", "8443"},
		{"IPv6 host", lines{"X-Forwarded-Host: [2001:db8::1]", "X-Forwarded-Proto: https"}, "https", "[2001:db8::1]", "443"},
		{"host that is none", lines{`X-Forwarded-Host: a"b`}, "http", "shop.example", "8080"},
		{"port", lines{"X-Forwarded-Port: 8443"}, "http", "shop.example", "8443"},
		{"port that is none", lines{"X-Forwarded-Port: 0"}, "http", "shop.example", "8080"},
		{"Forwarded", lines{`Forwarded: for=203.0.113.7;proto=https;host="www.example:444"`}, "https", "www.example:444", "444"},
		{"Forwarded says it of each hop", lines{"Forwarded: for=203.0.113.7;proto=https;host=www.example, for=10.0.0.8;proto=http;host=inner"}, "https", "www.example", "443"},
		{"Forwarded of a made-up client", lines{"Forwarded: for=198.51.100.1;proto=https, for=203.0.113.7;proto=http"}, "http", "shop.example", "80"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, out := pass(t, trusting(), arrival("10.0.0.9"), tt.in)
			want := lines{"X-Forwarded-Proto: " + tt.proto, "X-Forwarded-Host: " + tt.host, "X-Forwarded-Port: " + tt.port}
			got := out.without("X-Forwarded-For", "X-Real-IP", "Via", "Forwarded", "x-request-id")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if r.HTTPS() != (tt.proto == "https") {
				t.Errorf("HTTPS = %v", r.HTTPS())
			}
		})
	}
}

// Rule P3: Forwarded is passed on where it came, and never says anything else than
// X-Forwarded-*.
func TestForwardedIsRebuilt(t *testing.T) {
	tests := []struct {
		name string
		in   lines
		host string
		want string // empty: none
	}{
		{"did not come", lines{"X-Forwarded-For: 203.0.113.7"}, "a", ""},
		{"came", lines{"Forwarded: For=203.0.113.7;by=10.0.0.9;secret=x"}, "a", "for=203.0.113.7;proto=http;host=a, for=10.0.0.9"},
		{"IPv6, and a host with a port", lines{`Forwarded: for="[2001:db8::7]:4711"`}, "a:80", `for="[2001:db8::7]";proto=http;host="a:80", for=10.0.0.9`},
		{"came beside the other", lines{"Forwarded: for=198.51.100.1;proto=https", "X-Forwarded-For: 203.0.113.7, 10.0.0.8"}, "a", "for=203.0.113.7;proto=http;host=a, for=10.0.0.8, for=10.0.0.9"},
		{"hidden ones", lines{"Forwarded: for=_a, for=unknown"}, "", "for=_a, for=unknown, for=10.0.0.9;proto=http"},
		{"cannot be read", lines{"Forwarded: 203.0.113.7"}, "", "for=10.0.0.9;proto=http"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := arrival("10.0.0.9")
			a.Host = []byte(tt.host)
			_, out := pass(t, trusting(), a, tt.in)
			got := out.without("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP", "Via", "x-request-id")
			var want lines
			if tt.want != "" {
				want = lines{"Forwarded: " + tt.want}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Forwarded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTrustedPeerPassesOtherForwardedFields(t *testing.T) {
	_, out := pass(t, trusting(), arrival("10.0.0.9"), lines{"X-Forwarded-Prefix: /shop", "X_Forwarded_Prefix: /shop", "X-Real-IP: 1.2.3.4"})
	want := lines{"X-Forwarded-Prefix: /shop", "X-Real-IP: 10.0.0.9"}
	if diff := cmp.Diff(want, out.without("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Via", "x-request-id")); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestArrivals(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Arrival)
		want   lines
	}{
		{"TLS", func(a *Arrival) { a.TLS, a.Port = true, 443 }, lines{"X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example", "X-Forwarded-Port: 443", "X-Real-IP: 203.0.113.7", "Via: 1.1 tandem"}},
		{"HTTP/1.0 without Host", func(a *Arrival) { a.Minor, a.Host = 0, nil }, lines{"X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: http", "X-Forwarded-Port: 8080", "X-Real-IP: 203.0.113.7", "Via: 1.0 tandem"}},
		{"no peer address", func(a *Arrival) { a.Peer = netip.Addr{} }, lines{"X-Forwarded-For: unknown", "X-Forwarded-Proto: http", "X-Forwarded-Host: shop.example", "X-Forwarded-Port: 8080", "Via: 1.1 tandem"}},
		{"mapped peer", func(a *Arrival) { a.Peer = netip.MustParseAddr("::ffff:10.0.0.9") }, lines{"X-Forwarded-For: 10.0.0.9", "X-Forwarded-Proto: http", "X-Forwarded-Host: shop.example", "X-Forwarded-Port: 8080", "X-Real-IP: 10.0.0.9", "Via: 1.1 tandem"}},
		{"link-local peer", func(a *Arrival) { a.Peer = netip.MustParseAddr("fe80::1%eth0") }, lines{"X-Forwarded-For: fe80::1", "X-Forwarded-Proto: http", "X-Forwarded-Host: shop.example", "X-Forwarded-Port: 8080", "X-Real-IP: fe80::1", "Via: 1.1 tandem"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := arrival("203.0.113.7")
			tt.change(&a)
			_, got := pass(t, trusting(), a, nil)
			if diff := cmp.Diff(tt.want, got.without("x-request-id")); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

// Rule P5.
func TestLoopIsSeenInVia(t *testing.T) {
	tests := []struct {
		name string
		via  lines
		want bool
	}{
		{"none", nil, false},
		{"another proxy", lines{"Via: 1.1 squid"}, false},
		{"this one", lines{"Via: 1.1 tandem"}, true},
		{"in another case, with a comment", lines{"via: HTTP/1.0 TANDEM (v1)"}, true},
		{"comment without space", lines{"Via: 1.1 tandem(v1)"}, true},
		{"in a list", lines{"Via: 1.0 fred, 1.1 tandem , 1.1 p.example"}, true},
		{"in an earlier line", lines{"Via: 1.1\t tandem", "Via: 1.1 other"}, true},
		{"a longer name", lines{"Via: 1.1 tandem2, 1.1 tandem:80, 1.1 x-tandem"}, false},
		{"as the protocol", lines{"Via: tandem fred, tandem"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, out := pass(t, trusting(), arrival("203.0.113.7"), tt.via)
			if r.Loops() != tt.want {
				t.Errorf("Loops = %v, want %v", r.Loops(), tt.want)
			}
			want := append(tt.via, "Via: 1.1 tandem")
			if got := out.without("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP", "x-request-id"); !cmp.Equal(want, got) {
				t.Errorf("Via (-want +got):\n%s", cmp.Diff(want, got))
			}
		})
	}
}

func TestRequestIDIsKeptWhereItCanBe(t *testing.T) {
	tests := []struct {
		name string
		in   lines
		want string // empty: a new one
	}{
		{"none", nil, ""},
		{"good", lines{"X-Request-ID: abc-123/=+"}, "abc-123/=+"},
		{"longest", lines{"x-request-id: " + strings.Repeat("x", 128)}, strings.Repeat("x", 128)},
		{"too long", lines{"x-request-id: " + strings.Repeat("x", 129)}, ""},
		{"empty", lines{"x-request-id: "}, ""},
		{"twice", lines{"x-request-id: a", "x-request-id: a"}, ""},
		{"space", lines{"x-request-id: a b"}, ""},
		{"quote", lines{`x-request-id: a"b`}, ""},
		{"backslash", lines{`x-request-id: a\b`}, ""},
		{"not ASCII", lines{"x-request-id: ä"}, ""},
		{"control character", lines{"x-request-id: a\x7f"}, ""},
		{"underscores", lines{"x_request_id: a"}, ""},
	}
	var first [idLength]byte
	NewIDs([32]byte{}).draw(&first)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			if want == "" {
				want = string(first[:])
			}
			r, out := pass(t, trusting(), arrival("203.0.113.7"), tt.in)
			if got := string(r.ID()); got != want {
				t.Errorf("ID = %q, want %q", got, want)
			}
			if got := out[len(out)-1]; got != "x-request-id: "+want || len(out) != 7 {
				t.Errorf("last of %d fields is %q", len(out), got)
			}
		})
	}
}

func TestIdentitiesDiffer(t *testing.T) {
	ids, seen := NewIDs([32]byte{1}), map[string]bool{}
	for range 1000 {
		var id [idLength]byte
		ids.draw(&id)
		if !validID(id[:]) || seen[string(id[:])] {
			t.Fatalf("identity %q is not valid, or not new", id)
		}
		seen[string(id[:])] = true
	}
}

func TestLongListsAreCut(t *testing.T) {
	list := strings.Repeat("198.51.100.1, ", 1000) + "203.0.113.7"
	r, out := pass(t, trusting(), arrival("10.0.0.9"), lines{"X-Forwarded-For: " + list})
	if r.Client() != netip.MustParseAddr("203.0.113.7") {
		t.Errorf("client %s", r.Client())
	}
	if got := strings.Count(out[0], ","); got != maxHops {
		t.Errorf("%d addresses before the peer's, want %d", got, maxHops)
	}
}

// One Request serves many in turn: nothing of one is left in the next.
func TestRequestsShareNothing(t *testing.T) {
	var r Request
	r.Begin(trusting(), arrival("10.0.0.9"))
	for _, f := range (lines{"X-Forwarded-For: 203.0.113.7", "Forwarded: for=1.2.3.4", "X-Forwarded-Proto: https", "Via: 1.1 tandem", "X-Request-Id: kept"}) {
		name, value, _ := strings.Cut(f, ": ")
		r.Take([]byte(name), []byte(value))
	}
	r.Finish(NewIDs([32]byte{}))
	r.Append(nil)
	r.Begin(trusting(), arrival("203.0.113.8"))
	r.Finish(NewIDs([32]byte{}))
	fresh, _ := pass(t, trusting(), arrival("203.0.113.8"), nil)
	if diff := cmp.Diff(string(fresh.Append(nil)), string(r.Append(nil))); diff != "" {
		t.Errorf("fields (-fresh +used):\n%s", diff)
	}
	if r.Loops() {
		t.Error("the loop of the request before is seen")
	}
}

// Nobody says who a client is by its certificate but the connection itself.
func TestWhatOthersSayOfACertificateIsDropped(t *testing.T) {
	in := lines{
		"Client-Cert: :AAAA:", "client-cert-chain: :AAAA:", "X-Client-Cert-Subject: CN=root", "x-client-cert-fingerprint: 00",
		"X-Client-Verified: true", "X_Client_Verified: true", "x-client_cert-SUBJECT: CN=root", "CLIENT_CERT: :AAAA:",
	}
	for _, peer := range []string{"203.0.113.7", "10.0.0.1"} { // trusted or not
		_, got := pass(t, trusting(), arrival(peer), append(in, "X-Client-Version: 7"))
		_, want := pass(t, trusting(), arrival(peer), lines{"X-Client-Version: 7"})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("from %s (-want +got):\n%s", peer, diff)
		}
	}
}

func TestProtectedFields(t *testing.T) {
	for name, want := range map[string]bool{
		"X-Forwarded-For": true, "forwarded": true, "VIA": true, "X-Real-Ip": true, "x_forwarded_for": true,
		"Client-Cert": true, "client_cert_chain": true, "X-Client-Cert-Subject": true, "x-client-cert_fingerprint": true,
		"X-CLIENT-VERIFIED": true, "Client-Certificate": false, "X-Client": false,
		"X-Forwarded-Anything": true, "X-Request-Id": true, "X-Other": false, "Host": false, "": false,
	} {
		if got := Protected([]byte(name), "x-request-id"); got != want {
			t.Errorf("Protected(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestCommonRequestAllocatesNothing(t *testing.T) {
	p, a, ids := trusting(), arrival("203.0.113.7"), NewIDs([32]byte{})
	names := [][]byte{[]byte("Host"), []byte("User-Agent"), []byte("X-Request-Id"), []byte("Via")}
	value := []byte("1.1 x")
	var r Request
	out := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		r.Begin(p, a)
		for _, name := range names {
			r.Take(name, value)
		}
		r.Finish(ids)
		out = r.Append(out[:0])
	}); n != 0 {
		t.Errorf("%v allocations for a request, want none", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	p, a, ids := trusting(), arrival("203.0.113.7"), NewIDs([32]byte{})
	names := [][]byte{[]byte("Host"), []byte("User-Agent"), []byte("Accept"), []byte("Accept-Encoding"), []byte("X-Tenant"), []byte("Cookie")}
	value := []byte("x")
	var r Request
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		r.Begin(p, a)
		for _, name := range names {
			r.Take(name, value)
		}
		r.Finish(ids)
		out = r.Append(out[:0])
	}
}
