package http1_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy/http1"
)

// meaning is what a proxy reads from a request beside its fields.
type meaning struct {
	Method                           http1.Method
	Form                             http1.Form
	Minor                            uint8
	Scheme, Name, HostPort           string
	Port                             int
	Path, Query, Target              string
	HasQuery                         bool
	Body                             http1.Body
	Keep, Continue, Trailers, Safe   bool
	Upgrade, Authority, ForwardedFor string
}

func TestMeaningOfARequest(t *testing.T) {
	plain := func(change func(*meaning)) meaning {
		m := meaning{Method: http1.MethodGet, Minor: 1, Name: "a", HostPort: "a", Port: -1, Path: "/", Target: "/", Keep: true, Safe: true, Authority: "a"}
		change(&m)
		return m
	}
	tests := []struct {
		name, in string
		want     meaning
	}{
		{"plain", get(""), plain(func(*meaning) {})},
		{"L11 standard port", host("A.b:80"), plain(func(m *meaning) { m.Name, m.HostPort, m.Port, m.Authority = "a.b", "a.b", 80, "A.b:80" })},
		{"L11 empty port", host("a:"), plain(func(m *meaning) { m.Authority = "a:" })},
		{"L11 another port", host("A:8080"), plain(func(m *meaning) { m.HostPort, m.Port, m.Authority = "a:8080", 8080, "A:8080" })},
		{"L11 IPv6", host("[2001:DB8::1]:80"), plain(func(m *meaning) {
			m.Name, m.HostPort, m.Port, m.Authority = "[2001:db8::1]", "[2001:db8::1]", 80, "[2001:DB8::1]:80"
		})},
		{"L10 empty host", host(""), plain(func(m *meaning) { m.Name, m.HostPort, m.Authority = "", "", "" })},
		{"L10 no host", "GET / HTTP/1.0\r\n\r\n", plain(func(m *meaning) { m.Name, m.HostPort, m.Authority, m.Minor, m.Keep = "", "", "", 0, false })},
		{"L8 absolute-form", "GET HTTP://A:81/p?q HTTP/1.1\r\nHost: a:81\r\n\r\n", plain(func(m *meaning) {
			m.Form, m.Scheme, m.HostPort, m.Port, m.Authority = http1.AbsoluteForm, "HTTP", "a:81", 81, "A:81"
			m.Path, m.Query, m.HasQuery, m.Target = "/p", "q", true, "/p?q"
		})},
		{"L9 authority-form", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", plain(func(m *meaning) {
			m.Method, m.Form, m.HostPort, m.Port, m.Authority = http1.MethodConnect, http1.AuthorityForm, "a:443", 443, "a:443"
			m.Path, m.Target, m.Safe = "", "a:443", false
		})},
		{"L7 asterisk-form", line("OPTIONS * HTTP/1.1"), plain(func(m *meaning) {
			m.Method, m.Form, m.Path, m.Target = http1.MethodOptions, http1.AsteriskForm, "*", "*"
		})},
		{"path and query", line("GET /a/%20b?c=d?e&f HTTP/1.1"), plain(func(m *meaning) {
			m.Path, m.Query, m.HasQuery, m.Target = "/a/%20b", "c=d?e&f", true, "/a/%20b?c=d?e&f"
		})},
		{"empty query", line("GET /? HTTP/1.1"), plain(func(m *meaning) { m.HasQuery, m.Target = true, "/?" })},
		{"L6 unknown method", line("get / HTTP/1.1"), plain(func(m *meaning) { m.Method, m.Safe = http1.MethodOther, false })},
		{"Connection close", get("Connection: x, CLOSE\r\n"), plain(func(m *meaning) { m.Keep = false })},
		{"Connection close in the second field", get("Connection: keep-alive\r\nConnection: close\r\n"), plain(func(m *meaning) { m.Keep = false })},
		{"Connection of quotes says nothing", get("Connection: \"close\"\r\n"), plain(func(*meaning) {})},
		{"HTTP/1.0 closes", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", plain(func(m *meaning) { m.Minor, m.Keep = 0, false })},
		{"HTTP/1.0 that asks to be kept", "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", plain(func(m *meaning) { m.Minor = 0 })},
		{"HTTP/1.2", line("GET / HTTP/1.2"), plain(func(*meaning) {})},
		{"E1 expectation", get("Expect: 100-CONTINUE\r\nContent-Length: 5\r\n"), plain(func(m *meaning) {
			m.Continue, m.Body = true, http1.Body{Kind: http1.Sized, Length: 5}
		})},
		{"E1 expectation without a body", get("Expect: 100-continue\r\n"), plain(func(*meaning) {})},
		{"E4 expectation of HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", plain(func(m *meaning) { m.Minor, m.Keep = 0, false })},
		{"P6 trailers", get("TE: gzip , Trailers\r\n"), plain(func(m *meaning) { m.Trailers = true })},
		{"P6 trailers in the second field", get("TE: gzip\r\nTE: trailers\r\n"), plain(func(m *meaning) { m.Trailers = true })},
		{"P6 trailers with a weight", get("TE: trailers;q=0.5\r\n"), plain(func(*meaning) {})},
		{"P6 part of a word", get("TE: trailersx, xtrailers\r\n"), plain(func(*meaning) {})},
		{"U1 upgrade", get("Connection: Upgrade\r\nUpgrade: WebSocket\r\n"), plain(func(m *meaning) { m.Upgrade = "WebSocket" })},
		{"U1 with a version", get("Connection: Upgrade\r\nUpgrade: a/1, b\r\n"), plain(func(m *meaning) { m.Upgrade = "a/1" })},
		{"U1 not listed", get("Upgrade: websocket\r\n"), plain(func(*meaning) {})},
		{"U1 listed but absent", get("Connection: Upgrade\r\n"), plain(func(*meaning) {})},
		{"U1 HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", plain(func(m *meaning) { m.Minor, m.Keep = 0, false })},
		{"U1 h2c", get("Connection: Upgrade\r\nUpgrade: H2C\r\n"), plain(func(*meaning) {})},
		{"U1 h2c before websocket", get("Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n"), plain(func(m *meaning) { m.Upgrade = "websocket" })},
		{"U1 no token", get("Connection: Upgrade\r\nUpgrade: \"websocket\"\r\n"), plain(func(*meaning) {})},
		{"U1 two slashes", get("Connection: Upgrade\r\nUpgrade: a/b/c\r\n"), plain(func(*meaning) {})},
		{"U1 empty", get("Connection: Upgrade\r\nUpgrade: ,\r\n"), plain(func(*meaning) {})},
		{"F12 body of GET", get("Content-Length: 5\r\n"), plain(func(m *meaning) { m.Body = http1.Body{Kind: http1.Sized, Length: 5} })},
		{"F5 chunked", get("Transfer-Encoding: CHUNKED\r\n"), plain(func(m *meaning) { m.Body = http1.Body{Kind: http1.Chunked} })},
		{"lookup of a known field", get("x-forwarded-FOR: 1\r\nX-Forwarded-For: 2\r\n"), plain(func(m *meaning) { m.ForwardedFor = "1" })},
	}
	for _, tt := range tests {
		for _, cuts := range []func(string) []int{whole, bytewise} {
			var r http1.Request
			if n, err := feed(t, &r, tt.in, cuts(tt.in), limits()); n != len(tt.in) || err != nil {
				t.Fatalf("%s: %d, %v", tt.name, n, err)
			}
			query, has := r.Query()
			got := meaning{
				r.Method, r.Form, r.Minor, string(r.Scheme()), string(r.HostName()), string(r.HostPort(80)), r.Port(),
				string(r.Path()), string(query), string(r.AppendTarget(nil)), has, r.Body,
				r.KeepAlive, r.ExpectContinue, r.TakesTrailers, r.Method.Safe(),
				string(r.UpgradeTo()), string(r.Authority()), string(r.Header(http1.XForwardedFor)),
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	var r http1.Request
	in := get("X-Empty:\r\nx-two: 1\r\nX-Two: 2\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent_Type: x\r\n")
	if n, err := feed(t, &r, in, nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	tests := []struct {
		name, want string
		found      bool
	}{
		{"x-TWO", "1", true}, {"X-Empty", "", true}, {"host", "a", true},
		{"X-Hop", "", false}, {"Connection", "", false}, {"Content_Type", "", false}, {"X-Tw", "", false}, {"", "", false},
	}
	for _, tt := range tests {
		if got, found := r.Lookup(tt.name); string(got) != tt.want || found != tt.found {
			t.Errorf("Lookup(%q) is %q, %v; want %q, %v", tt.name, got, found, tt.want, tt.found)
		}
	}
	if got := r.Header(http1.Cookie); got != nil {
		t.Errorf("a field that is absent is %q", got)
	}
	if !r.Has(http1.Connection) || r.Has(http1.ContentType) {
		t.Error("Has is wrong about a field")
	}
}

func TestFieldCountsTheValuesOfAName(t *testing.T) {
	var r http1.Request
	in := get("X-Empty:\r\nx-two: 1\r\nX-Two: 2\r\nConnection: x-hop, cookie, upgrade\r\nX-Hop: 1\r\nUpgrade: websocket\r\nCookie: a\r\nCookie: b\r\nX_Forwarded_For: x\r\nX-Two: 3\r\n")
	if n, err := feed(t, &r, in, nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	tests := []struct {
		name string
		want []string
	}{
		{"x-two", []string{"1", "2", "3"}}, {"X-TWO", []string{"1", "2", "3"}}, {"x-empty", []string{""}}, {"host", []string{"a"}},
		{"upgrade", []string{"websocket"}}, {"cookie", []string{"a", "b"}}, // Connection cannot take the cookies away
		{"x-hop", nil}, {"x_forwarded_for", nil}, {"x-none", nil}, {"", nil},
	}
	for _, tt := range tests {
		var got []string
		for {
			v, ok := r.Field(tt.name, len(got))
			if !ok {
				break
			}
			got = append(got, string(v))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("values of %q (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestErrorSaysWhereAndWhatForTheLog(t *testing.T) {
	tests := []struct {
		in     string
		offset int
		method string
		target string
	}{
		{"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n", 23, "GET", "/x"},
		{"GET /x HTTP/1.1\r\nHost: a\r\nX\x00Y: 1\r\n\r\n", 27, "GET", "/x"},
		{"\r\nPUT /\xff HTTP/1.1\r\n\r\n", 6, "PUT", "/\xff"},
		{"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 42, "PUT", "/x"},
		{"G\x00T /x HTTP/1.1\r\n\r\n", 1, "", ""},
		{strings.Repeat("x", 9000), 8194, "", ""},
	}
	for _, tt := range tests {
		for _, cuts := range []func(string) []int{whole, bytewise} {
			var r http1.Request
			_, err := feed(t, &r, tt.in, cuts(tt.in), limits())
			e, ok := err.(*http1.Error)
			if !ok || e.Offset != tt.offset {
				t.Errorf("request %.100q is refused by %#v, want offset %d", tt.in, err, tt.offset)
			}
			if m, target := string(r.MethodText()), string(r.RawTarget()); m != tt.method || target != tt.target {
				t.Errorf("request %.100q has method %q, target %q; want %q, %q", tt.in, m, target, tt.method, tt.target)
			}
		}
	}
}

func TestFloodIsRefusedAtTheLimit(t *testing.T) {
	lim := limits()
	tests := []struct {
		name, start, more string
		most              int // bytes that are looked at
	}{
		{"L13 request line", "", "x", lim.Line + 2},
		{"L13 field", "GET / HTTP/1.1\r\n", "x", 16 + lim.Line + 2},
		{"L13 fields", "GET / HTTP/1.1\r\n", "X: " + strings.Repeat("y", 1000) + "\r\n", lim.Header + 1005},
		{"L13 count", "GET / HTTP/1.1\r\n", "X:\r\n", 16 + 4*101},
		{"L3 empty lines", "", "\r\n", 6},
	}
	for _, tt := range tests {
		var r http1.Request
		in := tt.start
		for {
			n, err := r.Parse([]byte(in), lim)
			if err != nil {
				break
			}
			if n > 0 || len(in) > tt.most {
				t.Errorf("%s: %d bytes are not refused", tt.name, len(in))
				break
			}
			in += tt.more
		}
	}
}

func TestMethods(t *testing.T) {
	tests := []struct {
		text             string
		method           http1.Method
		safe, idempotent bool
	}{
		{"GET", http1.MethodGet, true, true}, {"HEAD", http1.MethodHead, true, true}, {"OPTIONS", http1.MethodOptions, true, true},
		{"TRACE", http1.MethodTrace, true, true}, {"PUT", http1.MethodPut, false, true}, {"DELETE", http1.MethodDelete, false, true},
		{"POST", http1.MethodPost, false, false}, {"PATCH", http1.MethodPatch, false, false}, {"Get", http1.MethodOther, false, false},
		{"PROPFIND", http1.MethodOther, false, false},
	}
	for _, tt := range tests {
		var r http1.Request
		if n, err := feed(t, &r, line(tt.text+" / HTTP/1.1"), nil, limits()); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		if m := r.Method; m != tt.method || m.Safe() != tt.safe || m.Idempotent() != tt.idempotent || string(r.MethodText()) != tt.text {
			t.Errorf("%s is method %v %q, safe %v, idempotent %v", tt.text, m, r.MethodText(), m.Safe(), m.Idempotent())
		}
	}
}

func TestEmptyBodies(t *testing.T) {
	for b, want := range map[http1.Body]bool{
		{}: true, {Kind: http1.Sized}: true, {Kind: http1.Sized, Length: 1}: false,
		{Kind: http1.Chunked}: false, {Kind: http1.UntilClose}: false, {Kind: http1.Tunnel}: false,
	} {
		if b.Empty() != want {
			t.Errorf("body %v is empty: %v", b, b.Empty())
		}
	}
}

func TestAnEarlierRequestIsForgotten(t *testing.T) {
	var r http1.Request
	if n, err := r.Parse([]byte("POST /old HTTP/1.1\r\nHost: OLD\r\nContent-Length: 5\r\nConnection: close, x, cache-control\r\nX: 1\r\n\r\n"), limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := r.Parse([]byte("PUT /old HTTP/1.1\r\nHost: a\r\nHost"), limits()); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	r.Reset()
	if got, want := judgeRequest(t, &r, get("Cache-Control: 1\r\nX: 1\r\n"), nil), get("Cache-Control: 1\r\nX: 1\r\n"); got != want || !r.KeepAlive {
		t.Errorf("the request behind it is forwarded as %q, want %q", got, want)
	}
}

// TestLimitsMeet has a line and a head that reach their limits at nearly the same byte.
func TestLimitsMeet(t *testing.T) {
	const first = "GET /0123456789 HTTP/1.1" // 24 bytes, and Host takes 9
	in := first + "\r\nHost: a\r\n\r\n"
	for _, tt := range []struct {
		line, header int
		want         string
	}{
		{24, len(in), ""}, {24, len(in) - 1, "431 head_too_large"}, {23, len(in), "414 request_line_too_long"},
		{24, 26, "431 head_too_large"}, {24, 25, "414 request_line_too_long"}, {24, 24, "414 request_line_too_long"},
		{24, 33, "431 head_too_large"}, {24, 34, "431 head_too_large"}, {24, 35, "431 head_too_large"}, {24, 36, "431 head_too_large"},
	} {
		for _, cuts := range []func(string) []int{whole, bytewise} {
			lim := limits()
			lim.Line, lim.Header = tt.line, tt.header
			var r http1.Request
			got := ""
			if _, err := feed(t, &r, in, cuts(in), lim); err != nil {
				got = refusal(t, err)
			}
			if got != tt.want {
				t.Errorf("limits of %d and %d bytes: %q, want %q", tt.line, tt.header, got, tt.want)
			}
		}
	}
}
