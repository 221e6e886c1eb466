package l7

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy/l7/flow"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
)

// The rows bear the numbers of the rules of the project's HTTP checklist that only
// an exchange can decide; proxy/http1 has those of the codec.

const (
	smuggled    = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	chunkedPost = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
)

// A request whose end could be read in two ways ends its connection, and no server
// gets anything of it or of what follows.
func TestAmbiguousRequestsEndTheConnection(t *testing.T) {
	tests := []struct {
		name, sent string
		status     int
	}{
		{"F1 length and coding", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"F1 coding and length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
		{"F2 lengths that differ", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n", 400},
		{"F3 a length with a sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n", 400},
		{"F4 a coding that is almost chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
		{"F4 a coding that is not implemented", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		{"F6 coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"F8 hexadecimal prefix", chunkedPost + "0x0\r\n\r\n", 400},
		{"F8 sign", chunkedPost + "+0\r\n\r\n", 400},
		{"F8 minus", chunkedPost + "-1\r\n\r\n", 400},
		{"F8 underscore", chunkedPost + "1_0\r\n\r\n", 400},
		{"F8 space before", chunkedPost + " 0\r\n\r\n", 400},
		{"F8 no size", chunkedPost + "\r\n\r\n", 400},
		{"F8 17 digits", chunkedPost + "00000000000000000\r\n\r\n", 400},
		{"F8 LF only", chunkedPost + "1\na\r\n0\r\n\r\n", 400},
		{"F8 LF behind an extension", chunkedPost + "1;\na\r\n0\r\n\r\n", 400},
		{"F8 CR in an extension", chunkedPost + "1;a\rb\r\na\r\n0\r\n\r\n", 400},
		{"F8 NUL in an extension", chunkedPost + "1;a\x00\r\na\r\n0\r\n\r\n", 400},
		{"F8 quote without an end", chunkedPost + "1;a=\"b\r\na\r\n0\r\n\r\n", 400},
		{"F9 long extension", chunkedPost + "1;" + strings.Repeat("a", 300) + "\r\na\r\n0\r\n\r\n", 400},
		{"F9 many extensions", chunkedPost + strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\na\r\n", 30) + "0\r\n\r\n", 400},
		{"F10 data without its end", chunkedPost + "1\r\nab\r\n0\r\n\r\n", 400},
		{"F10 a colon behind the last chunk", chunkedPost + "0\r\nX:\x00\r\n\r\n", 400},
		{"L1 LF only", "GET / HTTP/1.1\nHost: a\n\n", 400},
		{"L8 authority and host differ", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400},
		{"L9 authority-form without CONNECT", "GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400},
		{"L9 CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405},
		{"L14 TRACE with a body", "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 405},
		{"H1 space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 44\r\n\r\n", 400},
		{"H2 folded", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := record200(t)
			r := start(t, rec.address)
			c := r.dial(t)
			c.send(t, tt.sent+smuggled)
			res := c.response(t, http.MethodPost)
			if res.StatusCode != tt.status || !res.Close {
				t.Errorf("response = %s, close %t; want %d and close", res.Status, res.Close, tt.status)
			}
			body(t, res)
			c.ends(t)
			c.Close()
			if got := rec.requests(); len(got) != 0 || rec.connections() != 0 {
				t.Errorf("the server got %q", got)
			}
			r.settle(t)
		})
	}
}

// Of a body that turns out to be malformed once its beginning has been sent on, a
// server gets an end that is none.
func TestMalformedBodyIsNotCompletedLate(t *testing.T) {
	for _, rest := range []string{
		"0x0\r\n\r\n", "+0\r\n\r\n", "\r\n\r\n", " 0\r\n\r\n", "00000000000000000\r\n\r\n", "0\n\n", "0;\n\r\n",
		"0;a=\"\r\n\r\n", "1;" + strings.Repeat("a", 300) + "\r\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "0\r\n X: 1\r\n\r\n", "0\r\nX\r\n\r\n",
	} {
		t.Run(fmt.Sprintf("%.20q", rest), func(t *testing.T) {
			t.Parallel()
			rec := record200(t)
			r := start(t, rec.address)
			c := r.dial(t)
			c.send(t, chunkedPost+"5\r\nhello\r\n")
			eventually(t, func() bool { return rec.connections() == 1 })
			c.send(t, rest+smuggled)
			if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusBadRequest || !res.Close {
				t.Errorf("response = %s, close %t; want 400 and close", res.Status, res.Close)
			} else {
				body(t, res)
			}
			c.ends(t)
			c.Close()
			r.settle(t)
			eventually(t, func() bool { return r.server(0).Active == 0 })
			for _, got := range rec.requests() {
				if got.Err == "" {
					t.Errorf("the server got %q, which looks complete", got)
				}
			}
		})
	}
}

// exchangeRow is what a client sends on one connection and what comes of it.
type exchangeRow struct {
	name    string
	sent    string
	methods []string // of the responses
	bodies  []string // of the responses
	server  []taken
	closes  bool
}

func TestRequestsAreToldApart(t *testing.T) {
	const next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
	nextTaken := taken{Line: "GET /next"}
	tests := []exchangeRow{
		{
			"F13 behind a body with a length", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + next,
			[]string{"POST", "GET"}, []string{"/ahello", "/next"}, []taken{{Line: "POST /a", Body: "hello"}, nextTaken}, false,
		},
		{
			"F13 behind a body in chunks", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-T: 1\r\n\r\n" + next,
			[]string{"POST", "GET"}, []string{"/ahello", "/next"}, []taken{{Line: "POST /a", Body: "hello"}, nextTaken}, false,
		},
		{
			"F13 behind HEAD", "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n" + next,
			[]string{"HEAD", "GET"}, []string{"", "/next"}, []taken{{Line: "HEAD /a"}, nextTaken}, false,
		},
		{
			"F13 behind an empty line", next + "\r\n" + next,
			[]string{"GET", "GET"}, []string{"/next", "/next"}, []taken{nextTaken, nextTaken}, false,
		},
		{
			"F14 what follows a request that closes", "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + smuggled,
			[]string{"GET"}, []string{"/a"}, []taken{{Line: "GET /a"}}, true,
		},
		{
			"F14 what follows a body that closes", "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi" + smuggled,
			[]string{"POST"}, []string{"/ahi"}, []taken{{Line: "POST /a", Body: "hi"}}, true,
		},
		{
			"F14 what follows a request of HTTP/1.0", "GET /a HTTP/1.0\r\nHost: a\r\n\r\n" + smuggled,
			[]string{"GET"}, []string{"/a"}, []taken{{Line: "GET /a"}}, true,
		},
		{
			"L8 absolute-form", "GET http://other:80/a?b HTTP/1.1\r\nHost: other\r\n\r\n" + next,
			[]string{"GET", "GET"}, []string{"/a?b", "/next"}, []taken{{Line: "GET /a?b"}, nextTaken}, false,
		},
		{
			"L6 a method that is not known", "purge /a HTTP/1.1\r\nHost: a\r\n\r\n" + next,
			[]string{"purge", "GET"}, []string{"/a", "/next"}, []taken{{Line: "purge /a"}, nextTaken}, false,
		},
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "DELETE", "PATCH"} {
		answer := "/ahello"
		if method == "HEAD" {
			answer = ""
		}
		server := []taken{{Line: method + " /a", Body: "hello"}, nextTaken}
		tests = append(tests, exchangeRow{
			"F12 " + method + " with a length", method + " /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + next,
			[]string{method, "GET"}, []string{answer, "/next"}, server, false,
		}, exchangeRow{
			"F12 " + method + " in chunks", method + " /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + next,
			[]string{method, "GET"}, []string{answer, "/next"}, server, false,
		})
	}
	for _, tt := range tests {
		for _, way := range []string{"at once", "byte by byte"} {
			if tt.closes && way == "byte by byte" {
				continue // who said that this was all and goes on may be reset
			}
			t.Run(tt.name+" "+way, func(t *testing.T) {
				t.Parallel()
				rec := record200(t)
				c := start(t, rec.address).dial(t)
				if way == "at once" {
					c.send(t, tt.sent)
				} else {
					c.SetNoDelay(true)
					for i := range len(tt.sent) {
						c.send(t, tt.sent[i:i+1])
					}
				}
				for i, method := range tt.methods {
					res := c.response(t, method)
					if got := body(t, res); res.StatusCode != http.StatusOK || got != tt.bodies[i] {
						t.Errorf("response %d = %s, %q; want 200, %q", i, res.Status, got, tt.bodies[i])
					}
				}
				if !tt.closes {
					c.CloseWrite()
				}
				c.ends(t)
				if diff := cmp.Diff(tt.server, rec.requests()); diff != "" {
					t.Errorf("requests at the server (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestTraceKeepsTheConnection(t *testing.T) {
	rec := record200(t)
	c := start(t, rec.address).dial(t)
	c.send(t, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
	if res := c.response(t, http.MethodTrace); res.StatusCode != http.StatusMethodNotAllowed || body(t, res) == "" {
		t.Errorf("response = %s, want 405", res.Status)
	}
	if res := c.response(t, http.MethodGet); res.StatusCode != http.StatusOK {
		t.Errorf("next response = %s, want 200", res.Status)
	}
}

// F11: trailers that would frame, route or identify are dropped.
func TestTrailersThatMatterAreDropped(t *testing.T) {
	rec := record200(t)
	c := start(t, rec.address).dial(t)
	c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Host\r\n\r\n1\r\na\r\n0\r\n"+
		"Content-Length: 5\r\nTransfer-Encoding: x\r\nHost: evil\r\nAuthorization: x\r\nContent-Type: x\r\nTrailer: x\r\nX-Forwarded-For: 1.1.1.1\r\nX-Sum: 1\r\n\r\n")
	body(t, c.response(t, http.MethodPost))
	got := http.Header{}
	for k, v := range rec.header() {
		if strings.HasPrefix(k, "Trailer:") {
			got[k] = v
		}
	}
	if diff := cmp.Diff(http.Header{"Trailer:X-Sum": {"1"}}, got); diff != "" {
		t.Errorf("trailers at the server (-want +got):\n%s", diff)
	}
}

// P3: the word of a proxy that is trusted is kept, and added to.
func TestForwardingFieldsOfATrustedPeer(t *testing.T) {
	rec := record200(t)
	spec := generous()
	spec.TrustForwarded = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	r := startWith(t, spec, pool(t, rec.address))
	c := r.dial(t)
	c.send(t, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9, 127.0.0.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n\r\n")
	body(t, c.response(t, http.MethodGet))
	got := rec.header()
	want := http.Header{"X-Forwarded-For": {"203.0.113.9, 127.0.0.9, 127.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"shop"}, "X-Real-Ip": {"203.0.113.9"}}
	for k, v := range want {
		if diff := cmp.Diff(v, got[k]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", k, diff)
		}
	}
	eventually(t, func() bool { return len(r.access.lines(t)) == 1 })
	if got := r.access.lines(t)[0]["client"]; got != "203.0.113.9" {
		t.Errorf("client in the access log = %v, want the one behind the proxy", got)
	}
}

// P5: a request that passed this listener before goes round in a circle.
func TestLoopIsDetected(t *testing.T) {
	rec := record200(t)
	r := start(t, rec.address)
	for name, via := range map[string]string{
		"alone":           "1.1 tandem-test-shop",
		"among others":    "1.0 fred, 1.1 Tandem-Test-Shop (x), 1.1 p",
		"in a later line": "1.0 fred\r\nVia: 1.1 tandem-test-shop",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(t)
			c.send(t, "GET / HTTP/1.1\r\nHost: a\r\nVia: "+via+"\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
			if res := c.response(t, http.MethodGet); res.StatusCode != http.StatusLoopDetected {
				t.Errorf("response = %s, want 508", res.Status)
			} else {
				body(t, res)
			}
			if res := c.response(t, http.MethodGet); res.StatusCode != http.StatusOK {
				t.Errorf("next response = %s, want 200", res.Status)
			}
		})
	}
	for _, got := range rec.requests() {
		if got.Line != "GET /next" {
			t.Errorf("the server got %q", got)
		}
	}
}

// A proxy that sends to itself ends it, and does not go round until something runs
// out.
func TestProxyBeforeItself(t *testing.T) {
	r := start(t, reactortest.Refusing(t))
	r.use(t, r.backend(t, r.l.Addr().String()))
	if res := get(t, r.url("/")); res.StatusCode != http.StatusLoopDetected {
		t.Errorf("response = %s, want 508", res.Status)
	}
	if got := r.Traffic().Requests; got != 2 {
		t.Errorf("%d requests, want 2", got)
	}
}

// P6: only trailers may be asked for through us.
func TestTransferCodingsAreNotAskedFor(t *testing.T) {
	for te, want := range map[string]string{"trailers": "trailers", "gzip": "", "trailers;q=0.5": "", "gzip, trailers": "trailers"} {
		rec := record200(t)
		c := start(t, rec.address).dial(t)
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: "+te+"\r\n\r\n")
		body(t, c.response(t, http.MethodGet))
		if got := rec.header().Get("Te"); got != want {
			t.Errorf("TE %q became %q, want %q", te, got, want)
		}
	}
}

// Fifty requests in one write, of all kinds, are answered in their order.
func TestDeepPipeline(t *testing.T) {
	rec := record200(t)
	r := start(t, rec.address)
	var sent strings.Builder
	type answer struct{ method, body string }
	var want []answer
	for i := range 50 {
		path, payload := fmt.Sprintf("/%d", i), strings.Repeat(string(rune('a'+i%26)), 1+i*997%40_000)
		switch i % 5 {
		case 0:
			fmt.Fprintf(&sent, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
			want = append(want, answer{"GET", path})
		case 1:
			fmt.Fprintf(&sent, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, len(payload), payload)
			want = append(want, answer{"POST", path + payload})
		case 2:
			half := len(payload) / 2
			fmt.Fprintf(&sent, "PUT %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", path)
			for _, p := range []string{payload[:half], payload[half:]} {
				if p != "" {
					fmt.Fprintf(&sent, "%x\r\n%s\r\n", len(p), p)
				}
			}
			sent.WriteString("0\r\n\r\n")
			want = append(want, answer{"PUT", path + payload})
		case 3:
			fmt.Fprintf(&sent, "HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
			want = append(want, answer{"HEAD", ""})
		case 4:
			fmt.Fprintf(&sent, "TRACE %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
			want = append(want, answer{"TRACE", "405 Method Not Allowed\n"})
		}
	}
	c := r.dial(t)
	go io.WriteString(c, sent.String())
	for i, w := range want {
		res := c.response(t, w.method)
		if got := body(t, res); got != w.body {
			t.Fatalf("response %d = %s with %d bytes %.40q, want %d bytes %.40q", i, res.Status, len(got), got, len(w.body), w.body)
		}
	}
	c.CloseWrite()
	c.ends(t)
	if tr := r.settle(t); tr.Requests != 50 || tr.Failed != 0 || tr.Accepted != 1 {
		t.Errorf("traffic = %+v, want 50 requests on 1 connection", tr)
	}
}

// A head as large as allowed is carried, also one that no buffer holds at first; one
// byte more is refused.
func TestHeadOfTheLimit(t *testing.T) {
	for _, limit := range []int{1 << 10, flow.BufferSize, flow.BufferSize + 1, 256 << 10} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			rec := record200(t)
			spec := generous()
			spec.Limits.HeaderBytes, spec.Limits.LineBytes, spec.Limits.Headers = limit, limit, 1000
			r := startWith(t, spec, pool(t, rec.address))
			const start = "GET / HTTP/1.1\r\nHost: a\r\nX-Fill: "
			for over := range 2 {
				fill := strings.Repeat("x", limit-len(start)-len("\r\n\r\n")+over)
				c := r.dial(t)
				go io.WriteString(c, start+fill+"\r\n\r\n")
				res := c.response(t, http.MethodGet)
				body(t, res)
				if over > 0 {
					if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !res.Close {
						t.Errorf("one byte over: %s, close %t; want 431 and close", res.Status, res.Close)
					}
					continue
				}
				if got := rec.header().Get("X-Fill"); res.StatusCode != http.StatusOK || got != fill {
					t.Errorf("response = %s, the server got %d bytes of %d", res.Status, len(got), len(fill))
				}
				c.send(t, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
				if res := c.response(t, http.MethodGet); body(t, res) != "/next" {
					t.Errorf("next response = %s", res.Status)
				}
			}
		})
	}
}
