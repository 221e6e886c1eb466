package http1_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy/http1"
)

// responseRow is a response to a request of method, GET if empty, made by a client
// of HTTP/1.minor, and what becomes of it.
type responseRow struct {
	name   string
	method http1.Method
	minor  uint8
	in     string
	want   string // "502 reason", "incomplete", or what the client gets
	body   string // kind, length and whether the connection can be reused
}

func responseRows() []responseRow {
	const g, h = http1.MethodGet, http1.MethodHead
	head := func(status string, fields ...string) string {
		return "HTTP/1.1 " + status + "\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
	}
	ok := func(fields ...string) string { return head("200 OK", fields...) }
	rows := []responseRow{
		{"R1 HEAD keeps the length", h, 1, ok("X: 1", "Content-Length: 5"), ok("X: 1", "Content-Length: 5"), "none 0 reusable"},
		{"R1 HEAD without a length", h, 1, ok("X: 1"), ok("X: 1"), "none 0 reusable"},
		{"R1 HEAD with chunks", h, 1, ok("Transfer-Encoding: chunked"), ok(), "none 0 reusable"},
		{"R1 HEAD of length 0", h, 1, ok("Content-Length: 0"), ok("Content-Length: 0"), "none 0 reusable"},
		{"R2 204", g, 1, head("204 No Content"), head("204 No Content"), "none 0 reusable"},
		{"R2 204 of length 0", g, 1, head("204 No Content", "Content-Length: 0"), head("204 No Content"), "none 0 reusable"},
		{"R2 204 with a length", g, 1, head("204 No Content", "Content-Length: 5"), head("204 No Content"), "none 0 spent"},
		{"R2 204 with chunks", g, 1, head("204 No Content", "Transfer-Encoding: chunked"), head("204 No Content"), "none 0 spent"},
		{"R2 304 keeps the length", g, 1, head("304 Not Modified", "Content-Length: 5"), head("304 Not Modified", "Content-Length: 5"), "none 0 reusable"},
		{"R2 304 with chunks", g, 1, head("304 Not Modified", "Transfer-Encoding: chunked"), head("304 Not Modified"), "none 0 reusable"},
		{"R2 205", g, 1, head("205 Reset Content", "Content-Length: 0"), head("205 Reset Content", "Content-Length: 0"), "none 0 reusable"},
		{"R2 205 with a body", g, 1, head("205 Reset Content", "Content-Length: 5"), head("205 Reset Content", "Content-Length: 0"), "none 0 spent"},
		{"R2 205 with chunks", g, 1, head("205 Reset Content", "Transfer-Encoding: chunked"), head("205 Reset Content", "Content-Length: 0"), "none 0 spent"},
		{"R2 205 until close", g, 1, head("205 Reset Content"), head("205 Reset Content", "Content-Length: 0"), "none 0 spent"},
		{"R2 200 to CONNECT", http1.MethodConnect, 1, ok("Content-Length: 5", "Transfer-Encoding: chunked"), ok(), "tunnel 0 spent"},
		{"R2 403 to CONNECT", http1.MethodConnect, 1, head("403 No", "Content-Length: 5"), head("403 No", "Content-Length: 5"), "sized 5 reusable"},
		{"R3 length and coding", g, 1, ok("Content-Length: 5", "Transfer-Encoding: chunked"), ok("Transfer-Encoding: chunked"), "chunked 0 spent"},
		{"R3 coding and length", g, 1, ok("Transfer-Encoding: chunked", "Content-Length: 5"), ok("Transfer-Encoding: chunked"), "chunked 0 spent"},
		{"R3 length and coding of HEAD", h, 1, ok("Content-Length: 5", "Transfer-Encoding: chunked"), ok(), "none 0 spent"},
		{"R4 equal lengths", g, 1, ok("Content-Length: 5", "content-length: 5"), ok("Content-Length: 5"), "sized 5 reusable"},
		{"R4 differing lengths", g, 1, ok("Content-Length: 5", "Content-Length: 6"), "502 content_length_repeated", ""},
		{"R4 lengths in a list", g, 1, ok("Content-Length: 5, 5"), "502 content_length_invalid", ""},
		{"R4 negative length", g, 1, ok("Content-Length: -5"), "502 content_length_invalid", ""},
		{"R4 length of HEAD", h, 1, ok("Content-Length: x"), "502 content_length_invalid", ""},
		{"R4 gzip", g, 1, ok("Transfer-Encoding: gzip"), "502 transfer_encoding_invalid", ""},
		{"R4 gzip and chunked", g, 1, ok("Transfer-Encoding: gzip, chunked"), "502 transfer_encoding_unknown", ""},
		{"R4 chunked and gzip", g, 1, ok("Transfer-Encoding: chunked, gzip"), "502 transfer_encoding_invalid", ""},
		{"R4 identity", g, 1, ok("Transfer-Encoding: identity"), "502 transfer_encoding_invalid", ""},
		{"R4 chunked twice", g, 1, ok("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "502 transfer_encoding_repeated", ""},
		{"R4 coding in HTTP/1.0", g, 1, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "502 transfer_encoding_in_http_1_0", ""},
		{"R4 head of 32 KiB", g, 1, "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("a", 4096)+"\r\n", 8) + "\r\n", "502 head_too_large", ""},
		{"R4 status line without end", g, 1, "HTTP/1.1 200 " + strings.Repeat("a", 8<<10), "502 status_line_too_long", ""},
		{"R4 too many fields", g, 1, ok(strings.Repeat("X: 1\r\n", 100) + "X: 1"), "502 too_many_fields", ""},
		{"R5 until close to HTTP/1.1", g, 1, ok("X: 1"), ok("X: 1", "Transfer-Encoding: chunked"), "until close 0 spent"},
		{"R5 until close to HTTP/1.0", g, 0, ok("X: 1"), ok("X: 1", "Connection: close"), "until close 0 spent"},
		{"R5 chunked to HTTP/1.0", g, 0, ok("Transfer-Encoding: chunked"), ok("Connection: close"), "chunked 0 reusable"},
		{"R5 sized to HTTP/1.0", g, 0, ok("Content-Length: 5"), ok("Content-Length: 5"), "sized 5 reusable"},
		{"Connection close", g, 1, ok("Connection: x, Close", "Content-Length: 5"), ok("Content-Length: 5"), "sized 5 spent"},
		{"HTTP/1.0 closes", g, 1, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", ok("Content-Length: 5"), "sized 5 spent"},
		{"HTTP/1.0 that is kept", g, 1, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", ok("Content-Length: 5"), "sized 5 reusable"},
		{"no reason and no space", g, 1, "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", head("200 ", "Content-Length: 5"), "sized 5 reusable"},
		{"no reason", g, 1, head("200 ", "Content-Length: 5"), head("200 ", "Content-Length: 5"), "sized 5 reusable"},
		{"another reason", g, 1, head("299 So \xffso\t!", "Content-Length: 5"), head("299 So \xffso\t!", "Content-Length: 5"), "sized 5 reusable"},
		{"HTTP/1.2", g, 1, "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\n", ok("Content-Length: 5"), "sized 5 reusable"},
		{"status above 599", g, 1, head("999 Odd", "Content-Length: 5"), head("999 Odd", "Content-Length: 5"), "sized 5 reusable"},
		{"H1 space before the colon", g, 1, ok("X : 1", "Y\t : 2", "Z :3", "Content-Length \t: 5"), ok("X: 1", "Y: 2", "Z: 3", "Content-Length: 5"), "sized 5 reusable"},
		{"H2 folded", g, 1, ok("X: 1", " 2"), "502 folded_field", ""},
		{"H3 white space first", g, 1, ok(" X: 1"), "502 folded_field", ""},
		{"H4 no colon", g, 1, ok("X"), "502 field_name_invalid", ""},
		{"H4 name that is no token", g, 1, ok("X[a]: 1"), "502 field_name_invalid", ""},
		{"H5 NUL", g, 1, ok("X: \x00"), "502 control_character", ""},
		{"H7 Content-Type twice", g, 1, ok("Content-Type: a", "Content-Type: b", "Content-Length: 5"), ok("Content-Type: a", "Content-Length: 5"), "sized 5 reusable"},
		{"L1 bare LF", g, 1, "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n", "502 bare_lf", ""},
		{"L2 bare CR", g, 1, "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "502 bare_cr", ""},
		{"P1 hop-by-hop", g, 1, ok("Connection: x", "X: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: x", "Upgrade: h2", "Trailer: y", "Set-Cookie: a", "Content-Length: 5"), ok("Set-Cookie: a", "Content-Length: 5"), "sized 5 reusable"},
		{"P1 Trailer is rebuilt", g, 1, ok("Trailer: X-Sum, Content-Length,,Host", "Transfer-Encoding: chunked", "Connection: X-Hop, server", "Trailer: x-hop, Server, Content_Length, , Y, \"z\""), ok("Transfer-Encoding: chunked", "Trailer: X-Sum, Y"), "chunked 0 reusable"},
		{"P1 Trailer of nothing", g, 1, ok("Trailer: Host", "Transfer-Encoding: chunked"), ok("Transfer-Encoding: chunked"), "chunked 0 reusable"},
		{"X1 103", g, 1, head("103 Early Hints", "Link: a"), head("103 Early Hints", "Link: a"), "none 0 reusable"},
		{"X3 100 of length 0", g, 1, head("100 Continue", "Content-Length: 0"), head("100 Continue"), "none 0 reusable"},
		{"X3 100 with a length", g, 1, head("100 Continue", "Content-Length: 5"), "502 interim_response_with_body", ""},
		{"X3 103 with a coding", g, 1, head("103 Early Hints", "Transfer-Encoding: chunked"), "502 interim_response_with_body", ""},
		{"U2 101", g, 1, head("101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"), head("101 Switching Protocols"), "tunnel 0 spent"},
		{"U2 101 with a length", g, 1, head("101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5"), "502 interim_response_with_body", ""},
		{"R7 empty line first", g, 1, "\r\n" + ok("Content-Length: 5"), "502 status_line_invalid", ""},
		{"incomplete", g, 1, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "incomplete", ""},
	}
	for _, l := range []string{"HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 OK", "HTTP/1.1 2x0 OK", "HTTP/1.1 -20 OK", "HTTP/1.1 200OK", "HTTP/1.1 200\tOK", "x", "HTTP/1.1  200 OK", "ICY 200 OK and more", "HTTP/1.01 200 OK", " HTTP/1.1 200 OK"} {
		rows = append(rows, responseRow{"R4 " + l, g, 1, l + "\r\n\r\n", "502 status_line_invalid", ""})
	}
	for _, l := range []string{"HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "http/1.1 200 OK", "HTTP/1,1 200 OK", "HTTP/1.a 200 OK"} {
		rows = append(rows, responseRow{"R4 " + l, g, 1, l + "\r\n\r\n", "502 version_invalid", ""})
	}
	return rows
}

// judgeResponse returns want and body of a responseRow.
func judgeResponse(t *testing.T, r *http1.Response, tt responseRow, cuts []int) (string, string) {
	t.Helper()
	r.ResetFor(tt.method, tt.minor)
	n, err := feed(t, r, tt.in, cuts, limits())
	switch {
	case err != nil:
		return refusal(t, err), ""
	case n == 0:
		return "incomplete", ""
	}
	b, err := r.AppendHead(nil, &http1.Edit{})
	if err != nil {
		t.Fatalf("AppendHead: %v", err)
	}
	reuse := "spent"
	if r.Reusable {
		reuse = "reusable"
	}
	return string(b) + tt.in[n:], fmt.Sprintf("%v %d %s", r.Body.Kind, r.Body.Length, reuse)
}

func TestResponseRules(t *testing.T) {
	var r http1.Response
	for _, tt := range responseRows() {
		t.Run(tt.name, func(t *testing.T) {
			head, body := judgeResponse(t, &r, tt, nil)
			if diff := cmp.Diff([]string{tt.want, tt.body}, []string{head, body}); diff != "" {
				t.Errorf("response %.200q (-want +got):\n%s", tt.in, diff)
			}
			if len(tt.in) > 20<<10 {
				return // quadratic
			}
			head, body = judgeResponse(t, &r, tt, bytewise(tt.in))
			if diff := cmp.Diff([]string{tt.want, tt.body}, []string{head, body}); diff != "" {
				t.Errorf("response %.200q, byte by byte (-want +got):\n%s", tt.in, diff)
			}
			for i := range min(len(tt.in), 200) {
				if head, body := judgeResponse(t, &r, tt, []int{i}); head != tt.want || body != tt.body {
					t.Fatalf("response %.200q, cut at %d: %q, %q; want %q, %q", tt.in, i, head, body, tt.want, tt.body)
				}
			}
		})
	}
}

func TestInterimResponsesAreLimited(t *testing.T) {
	const hint = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
	tests := []struct {
		name    string
		interim string
		count   int
		final   string
		want    string
	}{
		{"X1 16", hint, 16, "HTTP/1.1 204 No Content\r\n\r\n", "204"},
		{"X1 17", hint, 17, "HTTP/1.1 204 No Content\r\n\r\n", "502 too_many_interim_responses"},
		{"X1 size of all heads", "HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("a", 4000) + "\r\n\r\n", 9, "", "502 head_too_large"},
		{"X1 size with the final head", "HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("a", 4000) + "\r\n\r\n", 8, "HTTP/1.1 204 No Content\r\nX: " + strings.Repeat("a", 600) + "\r\n\r\n", "502 head_too_large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r http1.Response
			r.ResetFor(http1.MethodGet, 1)
			rest, got := strings.Repeat(tt.interim, tt.count)+tt.final, ""
			for got == "" {
				n, err := r.Parse([]byte(rest), limits())
				switch {
				case err != nil:
					got = refusal(t, err)
				case n == 0:
					t.Fatalf("response %.100q is incomplete", rest)
				case !r.Interim():
					got = fmt.Sprint(r.Status)
				}
				rest = rest[n:]
			}
			if got != tt.want {
				t.Errorf("verdict is %q, want %q", got, tt.want)
			}
			// Another request is not held responsible.
			r.ResetFor(http1.MethodGet, 1)
			if n, err := r.Parse([]byte(hint), limits()); n != len(hint) || err != nil {
				t.Errorf("first response to the next request: %d, %v", n, err)
			}
		})
	}
}

func TestSwitchingProtocols(t *testing.T) {
	tests := []struct {
		name, offered, in string
		want              bool
	}{
		{"U2 as offered", "websocket", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n", true},
		{"U2 another protocol", "websocket", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2\r\n\r\n", false},
		{"U2 nothing was offered", "", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false},
		{"U2 no Upgrade", "websocket", "HTTP/1.1 101 X\r\nConnection: upgrade\r\n\r\n", false},
		{"U2 not listed by Connection", "websocket", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", false},
		{"U2 not 101", "websocket", "HTTP/1.1 200 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false},
	}
	for _, tt := range tests {
		var r http1.Response
		r.ResetFor(http1.MethodGet, 1)
		if n, err := feed(t, &r, tt.in, nil, limits()); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		if got := r.SwitchesTo([]byte(tt.offered)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
