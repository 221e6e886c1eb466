package http1_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy/http1"
)

func TestEditedRequest(t *testing.T) {
	const in = "POST http://a/p?q HTTP/1.1\r\nX: 1\r\nHOST: a\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-other: 1\r\nCookie: c\r\nContent-Length: 5\r\nY:2\r\n\r\n"
	const start, end = "POST /p?q HTTP/1.1\r\nX: 1\r\n", "Cookie: c\r\nY: 2\r\n"
	const fields = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-other: 1\r\n" + end
	const length = "Content-Length: 5\r\n"
	tests := []struct {
		name string
		edit http1.Edit
		want string
	}{
		{"H9 nothing", http1.Edit{}, start + "HOST: a\r\n" + fields + length},
		{"Host", http1.Edit{Host: []byte("b:81")}, start + "HOST: b:81\r\n" + fields + length},
		{"empty Host", http1.Edit{Host: []byte{}}, start + "HOST: \r\n" + fields + length},
		{"target", http1.Edit{Target: []byte("/new?x")}, "POST /new?x HTTP/1.1\r\nX: 1\r\nHOST: a\r\n" + fields + length},
		{"P2 removal before addition", http1.Edit{Drop: http1.Forwarding, Add: []http1.Addition{{"X-Forwarded-For", []byte("1.2.3.4")}, {"Via", []byte("1.1 tandem")}, {"X-Empty", nil}, {"X-Tab", []byte("a\tb\xff")}}},
			start + "HOST: a\r\n" + end + "X-Forwarded-For: 1.2.3.4\r\nVia: 1.1 tandem\r\nX-Empty: \r\nX-Tab: a\tb\xff\r\n" + length},
		{"lines", http1.Edit{Lines: []byte("X-A: 1\r\nvia:x\ty\r\n"), Add: []http1.Addition{{"X-B", []byte("2")}}}, start + "HOST: a\r\n" + fields + "X-A: 1\r\nvia:x\ty\r\nX-B: 2\r\n" + length},
		{"dropping unknown fields drops nothing", http1.Edit{Drop: http1.SetOf(http1.Unknown, http1.Cookie)}, start + "HOST: a\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-other: 1\r\nY: 2\r\n" + length},
		{"close", http1.Edit{Close: true}, start + "HOST: a\r\n" + fields + length + "Connection: close\r\n"},
		{"U1 upgrade", http1.Edit{Upgrade: []byte("websocket")}, start + "HOST: a\r\n" + fields + length + "Upgrade: websocket\r\nConnection: upgrade\r\n"},
		{"P6 trailers", http1.Edit{Trailers: true}, start + "HOST: a\r\n" + fields + length + "TE: trailers\r\nConnection: TE\r\n"},
		{"P6 and U1 and close", http1.Edit{Trailers: true, Upgrade: []byte("x"), Close: true}, start + "HOST: a\r\n" + fields + length + "TE: trailers\r\nUpgrade: x\r\nConnection: close, upgrade, TE\r\n"},
		{"reframed in chunks", http1.Edit{Reframe: true, Body: http1.Body{Kind: http1.Chunked}}, start + "HOST: a\r\n" + fields + "Transfer-Encoding: chunked\r\n"},
		{"reframed with a length", http1.Edit{Reframe: true, Body: http1.Body{Kind: http1.Sized, Length: 7}}, start + "HOST: a\r\n" + fields + "Content-Length: 7\r\n"},
		{"reframed without a body", http1.Edit{Reframe: true}, start + "HOST: a\r\n" + fields},
	}
	var r http1.Request
	if n, err := feed(t, &r, in, nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want+"\r\n", forward(t, &r, &tt.edit)); diff != "" {
				t.Errorf("head (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCallersPolicyDropsFields(t *testing.T) {
	var r http1.Request
	if n, err := feed(t, &r, get("X: 1\r\nY: 2\r\nX: 3\r\nZ: 4\r\n"), nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	for i, f := range r.Fields() {
		if string(r.Bytes(f.Name)) == "X" {
			r.Fields()[i].Flags |= http1.Dropped
		}
	}
	if got, want := forward(t, &r, &http1.Edit{}), get("Y: 2\r\nZ: 4\r\n"); got != want {
		t.Errorf("forwarded %q, want %q", got, want)
	}
	if v, ok := r.Lookup("x"); ok {
		t.Errorf("a dropped field is %q", v)
	}
	// The flag does not outlive the request.
	if got, want := judgeRequest(t, &r, get("X: 1\r\n"), nil), get("X: 1\r\n"); got != want {
		t.Errorf("the next request is forwarded as %q, want %q", got, want)
	}
}

func TestNamedFieldsAreDropped(t *testing.T) {
	const in = "POST / HTTP/1.1\r\nX-Key: 1\r\nHost: a\r\nx-KEY: 2\r\nX-Key2:3\r\nCookie: c\r\nContent-Length: 1\r\nConnection: x-hop, upgrade\r\nX-Hop: 1\r\nUpgrade: u\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"
	const start, end = "POST / HTTP/1.1\r\n", "Content-Length: 1\r\n"
	tests := []struct {
		name  string
		names []string
		add   []http1.Addition
		want  string
	}{
		{"none", nil, nil, "X-Key: 1\r\nHost: a\r\nx-KEY: 2\r\nX-Key2: 3\r\nCookie: c\r\nX-Forwarded-For: 1.1.1.1\r\n"},
		{"all of a name", []string{"x-key"}, nil, "Host: a\r\nX-Key2: 3\r\nCookie: c\r\nX-Forwarded-For: 1.1.1.1\r\n"},
		{"a known name among several", []string{"x-none", "x-forwarded-for", "cookie"}, nil, "X-Key: 1\r\nHost: a\r\nx-KEY: 2\r\nX-Key2: 3\r\n"},
		{"a field is set", []string{"x-key"}, []http1.Addition{{"X-Key", []byte("new")}}, "Host: a\r\nX-Key2: 3\r\nCookie: c\r\nX-Forwarded-For: 1.1.1.1\r\nX-Key: new\r\n"},
		{"what is not its to drop", []string{"host", "content-length", "transfer-encoding", "connection", "upgrade", "x-hop"}, nil,
			"X-Key: 1\r\nHost: a\r\nx-KEY: 2\r\nX-Key2: 3\r\nCookie: c\r\nX-Forwarded-For: 1.1.1.1\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r http1.Request
			if n, err := feed(t, &r, in, nil, limits()); n == 0 || err != nil {
				t.Fatal(n, err)
			}
			if diff := cmp.Diff(start+tt.want+end+"\r\n", forward(t, &r, &http1.Edit{DropNames: tt.names, Add: tt.add})); diff != "" {
				t.Errorf("forwarded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNamedFieldsOfAResponseAreDropped(t *testing.T) {
	var req http1.Request
	var res http1.Response
	if n, err := feed(t, &req, plainGet, nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	res.Reset(&req)
	if n, err := feed(t, &res, "HTTP/1.1 200 OK\r\nServer: s\r\nX-Powered-By: p\r\nContent-Length: 0\r\n\r\n", nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	out, err := res.AppendHead(nil, &http1.Edit{DropNames: []string{"x-powered-by", "content-length"}})
	if want := "HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 0\r\n\r\n"; string(out) != want || err != nil {
		t.Errorf("forwarded %q, %v; want %q", out, err, want)
	}
}

func TestUnsafeEditsAreRefused(t *testing.T) {
	add := func(name, value string) http1.Edit {
		return http1.Edit{Add: []http1.Addition{{Name: "X-Good", Value: []byte("1")}, {Name: name, Value: []byte(value)}}}
	}
	tests := []struct {
		name string
		edit http1.Edit
	}{
		{"H10 CR in a value", add("X", "a\rb")},
		{"H10 LF in a value", add("X", "a\nb")},
		{"H10 NUL in a value", add("X", "a\x00b")},
		{"H10 DEL in a value", add("X", "long enough for a word\x7f")},
		{"H10 CRLF and a field", add("X", "a\r\nSet-Cookie: b")},
		{"H10 colon in a name", add("X:", "a")},
		{"H10 CRLF in a name", add("X\r\n", "a")},
		{"H10 no name", add("", "a")},
		{"H10 second length", add("content-LENGTH", "5")},
		{"H10 coding", add("Transfer-Encoding", "chunked")},
		{"H10 connection", add("Connection", "close")},
		{"H10 second Host", add("Host", "b")},
		{"H10 second length for CGI", add("Content_Length", "5")},
		{"H10 coding for CGI", add("transfer_encoding", "chunked")},
		{"H10 lines without an end", http1.Edit{Lines: []byte("X: 1")}},
		{"H10 lines with half an end", http1.Edit{Lines: []byte("X: 1\r")}},
		{"H10 empty line", http1.Edit{Lines: []byte("X: 1\r\n\r\n")}},
		{"H10 bare LF in lines", http1.Edit{Lines: []byte("X: 1\nY: 2\r\n")}},
		{"H10 NUL in lines", http1.Edit{Lines: []byte("X: 1\x00\r\n")}},
		{"H10 line without a colon", http1.Edit{Lines: []byte("X: 1\r\nY\r\n")}},
		{"H10 folded line", http1.Edit{Lines: []byte("X: 1\r\n Y: 2\r\n")}},
		{"H10 CRLF in Host", http1.Edit{Host: []byte("a\r\nX: 1")}},
		{"H10 space in Host", http1.Edit{Host: []byte("a b")}},
		{"H10 CRLF in the target", http1.Edit{Target: []byte("/\r\n")}},
		{"H10 space in the target", http1.Edit{Target: []byte("/ HTTP/1.1")}},
		{"H10 empty target", http1.Edit{Target: []byte("")}},
		{"H10 CRLF in an upgrade", http1.Edit{Upgrade: []byte("x\r\n")}},
		{"H10 empty upgrade", http1.Edit{Upgrade: []byte("")}},
	}
	var req http1.Request
	var res http1.Response
	if n, err := feed(t, &req, plainGet, nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	res.Reset(&req)
	if n, err := feed(t, &res, "HTTP/1.1 200 OK\r\n\r\n", nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, write := range []func([]byte, *http1.Edit) ([]byte, error){req.AppendHead, res.AppendHead} {
				out, err := write([]byte("before"), &tt.edit)
				if err == nil || http1.ReasonOf(err) != http1.UnsafeEdit || string(out) != "before" {
					t.Errorf("AppendHead returns %q, %v", out, err)
				}
			}
			if out, err := http1.AppendReply([]byte("before"), &http1.Reply{Status: 400, Fields: tt.edit.Add}); len(tt.edit.Add) > 0 && (err == nil || string(out) != "before") {
				t.Errorf("AppendReply returns %q, %v", out, err)
			}
		})
	}
}

func TestEditedResponse(t *testing.T) {
	const in = "HTTP/1.0 200 OK\r\nServer: s\r\nX: 1\r\nContent-Length: 5\r\n\r\n"
	const start = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name string
		edit http1.Edit
		want string
	}{
		{"close", http1.Edit{Close: true}, "Server: s\r\nX: 1\r\nContent-Length: 5\r\nConnection: close\r\n"},
		{"keep-alive", http1.Edit{KeepAlive: true}, "Server: s\r\nX: 1\r\nContent-Length: 5\r\nConnection: keep-alive\r\n"},
		{"close wins", http1.Edit{KeepAlive: true, Close: true}, "Server: s\r\nX: 1\r\nContent-Length: 5\r\nConnection: close\r\n"},
		{"until close closes", http1.Edit{KeepAlive: true, Reframe: true, Body: http1.Body{Kind: http1.UntilClose}}, "Server: s\r\nX: 1\r\nConnection: close\r\n"},
		{"fields", http1.Edit{Drop: http1.SetOf(http1.Server), Add: []http1.Addition{{"Set-Cookie", []byte("a=b; Path=/")}}}, "X: 1\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 5\r\n"},
		{"U2 upgrade", http1.Edit{Reframe: true, Upgrade: []byte("websocket")}, "Server: s\r\nX: 1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"},
	}
	var r http1.Response
	if n, err := feed(t, &r, in, nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := r.AppendHead(nil, &tt.edit)
			if diff := cmp.Diff(start+tt.want+"\r\n", string(got)); diff != "" || err != nil {
				t.Errorf("head (-want +got), %v:\n%s", err, diff)
			}
		})
	}
}

func TestReply(t *testing.T) {
	tests := []struct {
		name   string
		reply  http1.Reply
		method string
		want   string
		body   string
	}{
		{"with a text", http1.Reply{Status: 503, Body: "no server\n", Fields: []http1.Addition{{"Retry-After", []byte("1")}}}, "GET",
			"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\nContent-Length: 10\r\n\r\n", "no server\n"},
		{"that closes", http1.Reply{Status: 400, Close: true}, "GET", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ""},
		{"that keeps", http1.Reply{Status: 404, Keep: true}, "GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", ""},
		{"to HEAD", http1.Reply{Status: 404, Body: "gone\n", Head: true}, "HEAD", "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\n", ""},
		{"without content", http1.Reply{Status: 204, Body: "x"}, "GET", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"not modified", http1.Reply{Status: 304, Body: "x"}, "GET", "HTTP/1.1 304 Not Modified\r\n\r\n", ""},
		{"reset content", http1.Reply{Status: 205, Body: "x"}, "GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", ""},
		{"of no known status", http1.Reply{Status: 799}, "GET", "HTTP/1.1 799 \r\nContent-Length: 0\r\n\r\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := http1.AppendReply([]byte("before"), &tt.reply)
			if diff := cmp.Diff("before"+tt.want+tt.body, string(got)); diff != "" || err != nil {
				t.Errorf("reply (-want +got), %v:\n%s", err, diff)
			}
			r := bufio.NewReader(bytes.NewReader(got[len("before"):]))
			res, err := http.ReadResponse(r, &http.Request{Method: tt.method})
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(res.Body); err != nil || string(body) != tt.body || r.Buffered() > 0 {
				t.Errorf("net/http reads %q, %v, and leaves %d bytes", body, err, r.Buffered())
			}
		})
	}
}

func TestStatusTextIsTheRegisteredOne(t *testing.T) {
	// net/http has older names for these.
	newer := map[int]string{413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content", 418: ""}
	for status := -1; status < 1000; status++ {
		want := http.StatusText(status)
		if text, ok := newer[status]; ok {
			want = text
		}
		if got := http1.StatusText(status); got != want {
			t.Errorf("StatusText(%d) is %q, want %q", status, got, want)
		}
	}
}

// TestEveryByteOfAValueIsJudged tries each byte at each place of a machine word.
func TestEveryByteOfAValueIsJudged(t *testing.T) {
	for n := 1; n < 20; n++ {
		for at := range n {
			for c := range 256 {
				value := bytes.Repeat([]byte{'a'}, n)
				value[at] = byte(c)
				want := c == '\t' || c >= ' ' && c != 0x7f
				_, err := http1.AppendReply(nil, &http1.Reply{Status: 200, Fields: []http1.Addition{{Name: "X", Value: value}}})
				if (err == nil) != want {
					t.Fatalf("value %q: %v", value, err)
				}
				// White space at an end is none of the value.
				var r http1.Request
				got := judgeRequest(t, &r, get("X: a"+string(value)+"a\r\n"), nil)
				if (got == get("X: a"+string(value)+"a\r\n")) != want {
					t.Fatalf("request with value %q: %q", value, got)
				}
			}
		}
	}
}

func TestKnownNames(t *testing.T) {
	known := 0
	for k := http1.Host; k.String() != ""; k++ {
		known++
		if k == http1.XForwardedOther {
			continue
		}
		for _, name := range []string{k.String(), strings.ToUpper(k.String()), strings.ToUpper(k.String()[:1]) + k.String()[1:]} {
			if got := http1.KnownName([]byte(name)); got != k {
				t.Errorf("KnownName(%q) is %v, want %v", name, got, k)
			}
		}
		for _, name := range []string{k.String() + "x", "x" + k.String(), k.String()[1:], k.String()[:len(k.String())-1]} {
			if got := http1.KnownName(name); got == k {
				t.Errorf("KnownName(%q) is %v", name, got)
			}
		}
	}
	if known < 40 {
		t.Errorf("%d fields are known", known)
	}
	for name, want := range map[string]http1.Known{"": http1.Unknown, "x": http1.Unknown, "X-Forwarded-": http1.Unknown, "x-FORWARDED-by": http1.XForwardedOther, "h\x4fst": http1.Host, "x-forwardedxfor": http1.Unknown} {
		if got := http1.KnownName(name); got != want {
			t.Errorf("KnownName(%q) is %v, want %v", name, got, want)
		}
	}
	if s := http1.SetOf(http1.Host, http1.Vary); !s.Has(http1.Host) || !s.Has(http1.Vary) || s.Has(http1.Via) {
		t.Errorf("set is %b", s)
	}
}

func TestReasonsAreMetricLabels(t *testing.T) {
	seen := map[http1.Reason]bool{}
	for _, r := range http1.Reasons() {
		if seen[r] || r == "" || strings.Trim(string(r), "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("reason %q is no label, or there twice", r)
		}
		seen[r] = true
	}
	// Every reason that a row asks for is listed, and every listed one is asked for.
	asked := map[http1.Reason]bool{http1.UnsafeEdit: true, http1.TooManyInterim: true}
	note := func(verdict string) {
		if len(verdict) > 4 && strings.IndexByte("45", verdict[0]) >= 0 && verdict[3] == ' ' {
			asked[http1.Reason(verdict[4:])] = true
		}
	}
	for _, tt := range requestRows() {
		note(tt.want)
	}
	for _, tt := range responseRows() {
		note(tt.want)
	}
	for _, tt := range chunkRows() {
		note(tt.want.Refused)
	}
	if diff := cmp.Diff(seen, asked); diff != "" {
		t.Errorf("reasons (-listed +asked for):\n%s", diff)
	}
}
