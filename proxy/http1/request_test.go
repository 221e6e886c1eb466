package http1_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy/http1"
)

// The rows below bear the numbers of the rules of the project's HTTP checklist.
// Decided in proxy/l7, since only an exchange can, are: that a connection is closed
// behind a refusal, the extra bytes of F14, the body that is forwarded once (F12,
// the second half), the policy of methods (L6, L9, L14: 405), the scheme of the
// listener (L8, the last part), SNI (L12), the percent-encoding of what we write
// ourselves (H10, the second half), lower-case names for HTTP/2 (H9, the second
// half), who may say X-Forwarded (P3), PROXY (P4), Via (P5), Max-Forwards (P7), the
// list of protocols to upgrade to (U1, the first part), the flush behind 101 (U3),
// the two ends of a tunnel (U4), Sec-WebSocket-Accept (U5), who asked for 100 (X2),
// when to wait for 100 and how long (E1, E2), early responses (R8), lingering (R9),
// bytes on an idle connection (R7) and what to do on a body that breaks off (R6, R10).

// requestRow is a request and what becomes of it: "400 reason", "incomplete", or
// the head that is forwarded, an empty line, and what follows the head of in.
type requestRow struct {
	name, in, want string
}

// post and get make requests with more fields.
func post(fields string) string { return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }
func get(fields string) string  { return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }

// line makes a request of a request line.
func line(l string) string { return l + "\r\nHost: a\r\n\r\n" }

// host makes a request with a field Host.
func host(h string) string { return "GET / HTTP/1.1\r\nHost: " + h + "\r\n\r\n" }

const (
	chunkedHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	plainGet    = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
)

func framingRows() []requestRow {
	rows := []requestRow{
		{"F1 length then coding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "400 length_and_transfer_encoding"},
		{"F1 coding then length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), "400 length_and_transfer_encoding"},
		{"F1 other case", post("content-LENGTH: 5\r\ntransfer-ENCODING: cHUNKED\r\n"), "400 length_and_transfer_encoding"},
		{"F1 length folded", post("Transfer-Encoding: chunked\r\nContent-Length:\r\n 5\r\n"), "400 folded_field"},
		{"F1 length listed by Connection", post("Connection: content-length\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"), "400 length_and_transfer_encoding"},
		{"F2 differing lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n"), "400 content_length_repeated"},
		{"F2 equal lengths", post("Content-Length: 1\r\nContent-Length: 1\r\n"), "400 content_length_repeated"},
		{"F2 equal lengths in a list", post("Content-Length: 1, 1\r\n"), "400 content_length_invalid"},
		{"F2 differing lengths in a list", post("Content-Length: 1, 2\r\n"), "400 content_length_invalid"},
		{"F3 largest length", post("Content-Length: 9223372036854775807\r\n"), post("Content-Length: 9223372036854775807\r\n")},
		{"F3 length 0", post("Content-Length: 0\r\n"), post("Content-Length: 0\r\n")},
		{"F5 white space around a length", post("Content-Length: \t5 \t\r\n") + "hello", post("Content-Length: 5\r\n") + "hello"},
		{"F4 two codings in two lines", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "400 transfer_encoding_repeated"},
		{"F4 identity and chunked in two lines", post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"), "400 transfer_encoding_repeated"},
		{"F4 coding folded", post("Transfer-Encoding:\r\n chunked\r\n"), "400 folded_field"},
		{"F4 vertical tab", post("Transfer-Encoding: \x0bchunked\r\n"), "400 control_character"},
		{"F4 form feed", post("Transfer-Encoding: \x0cchunked\r\n"), "400 control_character"},
		{"F4 NUL", post("Transfer-Encoding: chunked\x00\r\n"), "400 control_character"},
		{"F4 gzip before chunked", post("Transfer-Encoding: gzip, chunked\r\n"), "501 transfer_encoding_unknown"},
		{"F4 deflate and compress before chunked", post("Transfer-Encoding: Deflate,\tcompress , Chunked\r\n"), "501 transfer_encoding_unknown"},
		{"F5 upper case", post("Transfer-Encoding: Chunked\r\n"), chunkedHead},
		{"F5 white space behind", post("Transfer-Encoding: chunked \r\n"), chunkedHead},
		{"F5 tab before", post("Transfer-Encoding:\tchunked\r\n"), chunkedHead},
		{"F5 no white space", post("Transfer-Encoding:chunked\r\n"), chunkedHead},
		{"F6 coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "400 transfer_encoding_in_http_1_0"},
		{"F6 coding and length in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "400 transfer_encoding_in_http_1_0"},
		{"F7 Transfer_Encoding", post("Transfer_Encoding: chunked\r\n"), post("")},
		{"F7 Content_Length beside a length", post("Content_Length: 3\r\nContent-Length: 5\r\n") + "hello", post("Content-Length: 5\r\n") + "hello"},
		{"F7 X_Forwarded_For", get("X_Forwarded_For: 1.2.3.4\r\n"), plainGet},
		{"F7 X-Forwarded_For and others", get("X-Forwarded_For: 1\r\nx_forwarded-anything_that_is_longer_than_thirty_two_bytes: 1\r\nX_Real_IP: 1\r\n"), plainGet},
		{"F7 underscores without meaning stay", get("My_Field: 1\r\n_: 2\r\n"), get("My_Field: 1\r\n_: 2\r\n")},
		{"F12 GET with a length", get("Content-Length: 5\r\n") + "hello", get("Content-Length: 5\r\n") + "hello"},
		{"F12 HEAD in chunks", "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"F12 OPTIONS with a length", "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"},
		{"F12 DELETE with a length", "DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", "DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"},
		{"F13 pipelined request stays behind", plainGet + plainGet, plainGet + plainGet},
	}
	for _, l := range []string{"", "+1", "-1", "-0", "0x1", "1_0", "1 0", "1Z", "0o5", "18446744073709551617", "9223372036854775808", "99999999999999999999", "0005", "00", "1.0", "1e3", "\xb2", "1;", "1,", ",1"} {
		rows = append(rows, requestRow{"F3 length " + l, post("Content-Length: "+l+"\r\n") + "hello", "400 content_length_invalid"})
	}
	for _, c := range []string{"chunked, chunked", ", chunked", "chunked,", "xchunked", "identity", "\"chunked\"", "chunked;a=b", "", "gzip", "chunked, gzip", "gzip,, chunked", "chunked chunked", "chunke", "chunked\xa0", "\x85chunked"} {
		rows = append(rows, requestRow{"F4 coding " + c, post("Transfer-Encoding: " + c + "\r\n"), "400 transfer_encoding_invalid"})
	}
	return rows
}

func lineRows() []requestRow {
	long := strings.Repeat("a", 8<<10-len("GET / HTTP/1.1"))
	rows := []requestRow{
		{"L1 bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400 bare_lf"},
		{"L1 bare LF behind a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", "400 bare_lf"},
		{"L1 LF for the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", "400 bare_lf"},
		{"L1 LF before the request", "\n" + plainGet, "400 bare_lf"},
		{"L2 bare CR behind the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", "400 bare_cr"},
		{"L2 CR in the target", "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n", "400 bare_cr"},
		{"L2 CR in a value", get("X: a\rb\r\n"), "400 bare_cr"},
		{"L2 CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "400 bare_cr"},
		{"L2 NUL in the method", line("G\x00T / HTTP/1.1"), "400 control_character"},
		{"L2 NUL in the target", line("GET /\x00 HTTP/1.1"), "400 control_character"},
		{"L2 NUL in a name", get("X\x00: a\r\n"), "400 control_character"},
		{"L3 one empty line", "\r\n" + plainGet, plainGet},
		{"L3 two empty lines", "\r\n\r\n" + plainGet, plainGet},
		{"L3 three empty lines", "\r\n\r\n\r\n" + plainGet, "400 empty_lines"},
		{"L4 two spaces", line("GET  / HTTP/1.1"), "400 request_line_invalid"},
		{"L4 two spaces before the version", line("GET /  HTTP/1.1"), "400 version_invalid"},
		{"L4 tab behind the method", line("GET\t/ HTTP/1.1"), "400 method_invalid"},
		{"L4 tab before the version", line("GET /\tHTTP/1.1"), "400 request_line_invalid"},
		{"L4 trailing space", line("GET / HTTP/1.1 "), "400 version_invalid"},
		{"L4 leading space", line(" GET / HTTP/1.1"), "400 method_invalid"},
		{"L4 leading tab", line("\tGET / HTTP/1.1"), "400 method_invalid"},
		{"L5 HTTP/0.9 without a version", "GET /\r\n\r\n", "400 request_line_invalid"},
		{"L5 method alone", "GET\r\n\r\n", "400 request_line_invalid"},
		{"L5 method and space", "GET \r\n\r\n", "400 request_line_invalid"},
		{"L5 preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 version_unsupported"},
		{"L5 HTTP/2.0", line("GET / HTTP/2.0"), "505 version_unsupported"},
		{"L5 HTTP/3.1", line("GET / HTTP/3.1"), "505 version_unsupported"},
		{"L5 HTTP/1.2 is HTTP/1.1", line("GET / HTTP/1.2"), plainGet},
		{"L6 method that is no token", line("G(T / HTTP/1.1"), "400 method_invalid"},
		{"L6 method with a byte above ASCII", line("G\xc4T / HTTP/1.1"), "400 method_invalid"},
		{"L6 no method", line("/ HTTP/1.1"), "400 method_invalid"},
		{"L6 method of 32 bytes", line(strings.Repeat("M", 32) + " / HTTP/1.1"), strings.Repeat("M", 32) + " / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"L6 method of 33 bytes", line(strings.Repeat("M", 33) + " / HTTP/1.1"), "501 method_too_long"},
		{"L6 lower case is another method", line("get / HTTP/1.1"), line("get / HTTP/1.1")},
		{"L7 * of OPTIONS", line("OPTIONS * HTTP/1.1"), line("OPTIONS * HTTP/1.1")},
		{"L7 // at the start", line("GET //b/c HTTP/1.1"), line("GET //b/c HTTP/1.1")},
		{"L7 query with what browsers send", line("GET /a|b?c=\\d^{e}|f HTTP/1.1"), line("GET /a|b?c=\\d^{e}|f HTTP/1.1")},
		{"L7 encoded path", line("GET /%2e%2E%2f%00?%zz HTTP/1.1"), line("GET /%2e%2E%2f%00?%zz HTTP/1.1")},
		{"L7 empty query", line("GET /? HTTP/1.1"), line("GET /? HTTP/1.1")},
		{"L8 authority replaces Host", "GET http://a/p?q HTTP/1.1\r\nX: 1\r\nhost: a\r\n\r\n", "GET /p?q HTTP/1.1\r\nX: 1\r\nhost: a\r\n\r\n"},
		{"L8 Host differs", line("GET http://b/p HTTP/1.1"), "400 host_conflict"},
		{"L8 Host differs by its port", line("GET http://a:81/p HTTP/1.1"), "400 host_conflict"},
		{"L8 Host is a part", line("GET http://a.b/p HTTP/1.1"), "400 host_conflict"},
		{"L8 same but for the standard port", line("GET HTTP://A:80/p HTTP/1.1"), "GET /p HTTP/1.1\r\nHost: A:80\r\n\r\n"},
		{"L8 same but for the standard port of https", "GET https://a/p HTTP/1.1\r\nHost: a:443\r\n\r\n", "GET /p HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"L8 both in upper case", "GET http://AB/p HTTP/1.1\r\nHost: Ab\r\n\r\n", "GET /p HTTP/1.1\r\nHost: AB\r\n\r\n"},
		{"L8 without a path", line("GET http://a HTTP/1.1"), plainGet},
		{"L8 without a path, with a query", line("GET http://a?q HTTP/1.1"), line("GET /?q HTTP/1.1")},
		{"L8 OPTIONS without a path", line("OPTIONS http://a HTTP/1.1"), line("OPTIONS * HTTP/1.1")},
		{"L8 OPTIONS without a path, with a query", line("OPTIONS http://a?q HTTP/1.1"), line("OPTIONS /?q HTTP/1.1")},
		{"L8 HTTP/1.0 without Host", "GET http://a/ HTTP/1.0\r\n\r\n", plainGet},
		{"L8 empty authority", line("GET http:///p HTTP/1.1"), "400 target_invalid"},
		{"L8 user in the authority", line("GET http://a@a/p HTTP/1.1"), "400 target_invalid"},
		{"L8 another scheme", line("GET ftp://a/p HTTP/1.1"), "400 target_invalid"},
		{"L8 scheme without slashes", line("GET http:a/p HTTP/1.1"), "400 target_invalid"},
		{"L8 port out of range", line("GET http://a:65536/ HTTP/1.1"), "400 target_invalid"},
		{"L9 CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"},
		{"L9 CONNECT to another host", "CONNECT b:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "400 host_conflict"},
		{"L9 CONNECT without a port", line("CONNECT a HTTP/1.1"), "400 target_invalid"},
		{"L9 CONNECT to a path", line("CONNECT / HTTP/1.1"), "400 target_invalid"},
		{"L9 authority-form of GET", line("GET a:80 HTTP/1.1"), "400 target_invalid"},
		{"L13 request line of 8 KiB", line("GET /" + long + " HTTP/1.1"), line("GET /" + long + " HTTP/1.1")},
		{"L13 request line of 8 KiB and a byte", line("GET /" + long + "a HTTP/1.1"), "414 request_line_too_long"},
		{"L13 request line without end", strings.Repeat("A", 9<<10), "414 request_line_too_long"},
		{"L13 field of 8 KiB", get("X: " + strings.Repeat("a", 8<<10-3) + "\r\n"), get("X: " + strings.Repeat("a", 8<<10-3) + "\r\n")},
		{"L13 field of 8 KiB and a byte", get("X: " + strings.Repeat("a", 8<<10-2) + "\r\n"), "431 field_too_long"},
		{"L13 head of 32 KiB", ofSize(32 << 10), ofSize(32 << 10)},
		{"L13 head of 32 KiB and a byte", ofSize(32<<10 + 1), "431 head_too_large"},
		{"L13 100 fields", get(strings.Repeat("X: 1\r\n", 99)), get(strings.Repeat("X: 1\r\n", 99))},
		{"L13 101 fields", get(strings.Repeat("X: 1\r\n", 100)), "431 too_many_fields"},
		{"L14 TRACE is the policy's business", line("TRACE / HTTP/1.1"), line("TRACE / HTTP/1.1")},
		{"early: a TLS client", "\x16\x03\x01", "400 control_character"},
		{"early: nothing", "", "incomplete"},
		{"early: half a line", "GET / HT", "incomplete"},
		{"early: no empty line", "GET / HTTP/1.1\r\nHost: a\r\n\r", "incomplete"},
	}
	for _, v := range []string{"HTTP/1", "HTTP/1.01", "HTTP/01.1", "http/1.1", "HTTP/ 1.1", "HTTP/1,1", "HTTP/0.9", "HTTP/1.", "HTTP/.1", "HTTP/1.a", "HTTP/-1.1", "HTTPS/1.1", "HTTP 1.1", "", "HTTP/1.1HTTP/1.1", "x HTTP/1.1"} {
		rows = append(rows, requestRow{"L5 version " + v, line("GET / " + v), "400 version_invalid"})
	}
	for _, target := range []string{"a", "*", "*/x", "/a#b", "/?a#b", "/\x80", "/?\xff", "/a\\b", "/%", "/%2", "/%zz", "/%2%41", "http//a", "://a/", "?q", "\\", "#"} {
		rows = append(rows, requestRow{"L7 target " + target, line("GET " + target + " HTTP/1.1"), "400 target_invalid"})
	}
	rows = append(rows, requestRow{"L7 target */x of OPTIONS", line("OPTIONS */x HTTP/1.1"), "400 target_invalid"},
		requestRow{"L7 target with a space", line("GET /a b HTTP/1.1"), "400 version_invalid"},
		requestRow{"L7 target with DEL", line("GET /\x7f HTTP/1.1"), "400 control_character"},
		requestRow{"L7 target with ESC", line("GET /\x1b HTTP/1.1"), "400 control_character"})
	return rows
}

// ofSize makes a request of n bytes.
func ofSize(n int) string {
	fields := strings.Repeat("X: "+strings.Repeat("a", 1000)+"\r\n", 31)
	rest := n - len(get(fields)) - len("Y: \r\n")
	return get(fields + "Y: " + strings.Repeat("b", rest) + "\r\n")
}

func hostRows() []requestRow {
	rows := []requestRow{
		{"L10 missing", "GET / HTTP/1.1\r\n\r\n", "400 host_missing"},
		{"L10 missing in HTTP/1.2", "GET / HTTP/1.2\r\n\r\n", "400 host_missing"},
		{"L10 missing in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: \r\n\r\n"},
		{"L10 missing beside absolute-form", "GET http://a/ HTTP/1.1\r\n\r\n", "400 host_missing"},
		{"L10 twice", get("Host: b\r\n"), "400 host_repeated"},
		{"L10 twice the same", get("Host: a\r\n"), "400 host_repeated"},
		{"L10 twice in a list", host("a, a"), "400 host_invalid"},
		{"L10 listed by Connection", get("Connection: host\r\n"), plainGet},
		{"L10 empty", host(""), "GET / HTTP/1.1\r\nHost: \r\n\r\n"},
		{"L10 empty beside absolute-form", "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", "400 host_conflict"},
	}
	for _, h := range []string{"a/b", "/", "u@a", "a,b", "a b", "a:65536", "a:99999", "a:100000", "a:000080", "a:+1", "a:-1", "a:1a", "a: 1", "a :1", ":80", ":", "a:80:80", "a\\b", "a?b", "a#b", "a%41", "a;b", "\xc3\xa4", "a\tb", "\"a\"", "http://a",
		"[", "[]", "[::1", "::1", "[::1]]", "[[::1]]", "[::1]a", "[::1]80", "[g::1]", "[1]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1::2::3]", "[:::]", "[1:]", "[:1]", "[1:::2]", "[12345::]", "[::1.2.3]", "[::1.2.3.256]", "[::1.2.3.04]", "[::1.2.3.4.5]", "[1.2.3.4]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[v1.a]", "[1:2:3:4:5:6:7::8:9]", "[1:2:3:4::5:6:7:8]", "[::1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8::]", "[1:2:3:4:5:6:7:1.2.3.4]", "[::1.2.3.4:5]", "a[::1]"} {
		rows = append(rows, requestRow{"L10 host " + h, host(h), "400 host_invalid"})
	}
	for _, h := range []string{"a", "A.Example.COM", "a:80", "a:", "a:0", "a:65535", "a:00080", "a_b-c~d.e", "a.", "127.0.0.1:8080", "xn--bcher-kva.example", "[::]", "[::1]:80", "[2001:DB8::1]", "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]", "[::ffff:1.2.3.4]", "[1:2:3:4:5:6:1.2.3.4]", "[64:ff9b::10.0.0.255]:443"} {
		rows = append(rows, requestRow{"L11 host " + h, host(h), host(h)})
	}
	return rows
}

func fieldRows() []requestRow {
	rows := []requestRow{
		{"H1 space before the colon", get("X : 1\r\n"), "400 space_before_colon"},
		{"H1 tab before the colon", get("X\t: 1\r\n"), "400 space_before_colon"},
		{"H1 space before the colon of a length", post("Content-Length : 5\r\n"), "400 space_before_colon"},
		{"H2 folded by a space", get("X: 1\r\n 2\r\n"), "400 folded_field"},
		{"H2 folded by a tab", get("X: 1\r\n\t2\r\n"), "400 folded_field"},
		{"H2 folded by nothing but white space", get("X: 1\r\n \r\n"), "400 folded_field"},
		{"H3 space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 folded_field"},
		{"H3 tab before the first field", "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", "400 folded_field"},
		{"H3 line of white space before the first field", "GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", "400 folded_field"},
		{"H6 trimmed", get("X: \t 1 \t \r\nY:2\r\nZ:\r\nW: \r\n"), get("X: 1\r\nY: 2\r\nZ: \r\nW: \r\n")},
		{"H6 tab before a value", get("X:\t1\r\nY: 2\r\n"), get("X: 1\r\nY: 2\r\n")},
		{"H6 nothing else is trimmed", get("X: \xa0\x85 1 \x85\xa0\r\n"), get("X: \xa0\x85 1 \x85\xa0\r\n")},
		{"H5 tab and bytes above ASCII in a value", get("X: a\tb\xff\r\n"), get("X: a\tb\xff\r\n")},
		{"H7 Content-Type twice", post("Content-Type: a\r\nContent-Type: a\r\n"), "400 field_repeated"},
		{"H7 Authorization twice", get("Authorization: a\r\nauthorization: b\r\n"), "400 field_repeated"},
		{"H7 others may repeat", get("Cookie: a\r\nCookie: b\r\nX: 1\r\nX: 1\r\n"), get("Cookie: a\r\nCookie: b\r\nX: 1\r\nX: 1\r\n")},
		{"H9 order and case", get("zZ: 1\r\nAccept: 2\r\nzz: 3\r\nCONTENT-type: 4\r\n"), get("zZ: 1\r\nAccept: 2\r\nzz: 3\r\nCONTENT-type: 4\r\n")},
		{"P1 fixed list", get("X: 1\r\nProxy-Connection: close\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\nTrailer: X\r\nUpgrade: x\r\nProxy-Authenticate: x\r\nProxy-Authorization: x\r\nHTTP2-Settings: x\r\nY: 2\r\n"), get("X: 1\r\nY: 2\r\n")},
		{"P1 listed", get("X: 1\r\nConnection: x,Keep-Alive ,\tY\r\ny: 2\r\nZ: 3\r\nConnection: , z,,\r\nW: 4\r\nX: 5\r\n"), get("W: 4\r\n")},
		{"P1 listed known field", get("Connection: cache-control\r\nCache-Control: x\r\n"), get("")},
		{"P1 part of a name", get("Connection: X-Fo\r\nX-Foo: 1\r\nX-F: 2\r\n"), get("X-Foo: 1\r\nX-F: 2\r\n")},
		{"P1 32 options", get("Connection: " + strings.Repeat("x,", 32) + "\r\n"), plainGet},
		{"P1 33 options", get("Connection: " + strings.Repeat("x,", 33) + "\r\n"), "400 connection_too_long"},
		{"P6 trailers with a weight", get("TE: trailers;q=0.5\r\n"), plainGet},
		{"P6 gzip", get("TE: gzip\r\n"), plainGet},
	}
	for _, f := range []string{"X", "", ": 1", " ", "X[a]: 1", "\xef: 1", "\x85: 1", "X\xa0: 1", "(: 1", "X;: 1", "X\"y: 1", "X/y: 1", "=: 1"} {
		want := "400 field_name_invalid"
		switch f {
		case "":
			continue
		case " ":
			want = "400 folded_field"
		}
		rows = append(rows, requestRow{"H4 field " + f, get(f + "\r\n"), want})
	}
	for c := range 0x80 {
		if c != '\t' && (c < ' ' || c == 0x7f) {
			want := "400 control_character"
			switch c {
			case '\r':
				want = "400 bare_cr"
			case '\n':
				want = "400 bare_lf"
			}
			rows = append(rows, requestRow{fmt.Sprintf("H5 byte %#02x in a value", c), get("X: a" + string(rune(c)) + "b\r\n"), want})
		}
	}
	for _, name := range []string{"Host", "Content-Length", "Authorization", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Whatever", "Forwarded", "traceparent", "tracestate", "X-Request-ID", "Cookie", "X-Real-IP", "Via", "Set-Cookie", "Early-Data", "Max-Forwards"} {
		head := "GET / HTTP/1.1\r\n"
		if name != "Host" {
			head += "Host: a\r\n"
		}
		if name != "Content-Length" { // is written at the end
			in := head + "Connection: close, " + strings.ToUpper(name) + "\r\n" + name + ": 1\r\n\r\n"
			rows = append(rows, requestRow{"P2 protected " + name, in, head + name + ": 1\r\n\r\n"})
		}
	}
	rows = append(rows, requestRow{"P2 protected Content-Length", post("Connection: content-length\r\nContent-Length: 1\r\n") + "x", post("Content-Length: 1\r\n") + "x"})
	return rows
}

func expectRows() []requestRow {
	return []requestRow{
		{"E1 expectation is forwarded", post("Expect: 100-Continue\r\nContent-Length: 1\r\n"), post("Expect: 100-Continue\r\nContent-Length: 1\r\n")},
		{"E1 expectation listed by Connection", post("Connection: expect\r\nExpect: 100-continue\r\nContent-Length: 1\r\n"), post("Expect: 100-continue\r\nContent-Length: 1\r\n")},
		{"E3 another expectation", post("Expect: 200-ok\r\n"), "417 unknown_expectation"},
		{"E3 empty expectation", post("Expect:\r\n"), "417 unknown_expectation"},
		{"E3 one more expectation", post("Expect: 100-continue, x\r\n"), "417 unknown_expectation"},
		{"E3 one more expectation in another field", post("Expect: 100-continue\r\nExpect: x\r\n"), "417 unknown_expectation"},
		{"E4 expectation of HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", post("Content-Length: 1\r\n")},
		{"E4 another expectation of HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", post("Content-Length: 1\r\n")},
		{"U1 upgrade is not forwarded by itself", get("Connection: upgrade\r\nUpgrade: websocket\r\n"), plainGet},
		{"U1 h2c is never forwarded", get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"), plainGet},
	}
}

func requestRows() []requestRow {
	rows := framingRows()
	for _, more := range [][]requestRow{lineRows(), hostRows(), fieldRows(), expectRows()} {
		rows = append(rows, more...)
	}
	return rows
}

// judgeRequest returns what requestRow.want says.
func judgeRequest(t *testing.T, r *http1.Request, in string, cuts []int) string {
	t.Helper()
	r.Reset()
	n, err := feed(t, r, in, cuts, limits())
	switch {
	case err != nil:
		return refusal(t, err)
	case n == 0:
		return "incomplete"
	}
	return forward(t, r, &http1.Edit{}) + in[n:]
}

func TestRequestRules(t *testing.T) {
	var r http1.Request // one for all, as on a connection
	for _, tt := range requestRows() {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, judgeRequest(t, &r, tt.in, nil)); diff != "" {
				t.Errorf("request %.200q (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func TestRequestVerdictDoesNotDependOnReads(t *testing.T) {
	var r http1.Request
	for _, tt := range requestRows() {
		if len(tt.in) > 20<<10 {
			continue // quadratic
		}
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, judgeRequest(t, &r, tt.in, bytewise(tt.in))); diff != "" {
				t.Errorf("request %.200q, byte by byte (-want +got):\n%s", tt.in, diff)
			}
			for i := range min(len(tt.in), 300) {
				if got := judgeRequest(t, &r, tt.in, []int{i}); got != tt.want {
					t.Fatalf("request %.200q, cut at %d: %q, want %q", tt.in, i, got, tt.want)
				}
			}
		})
	}
}
