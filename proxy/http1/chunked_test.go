package http1_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy/http1"
)

// decoded is what becomes of a body in chunks.
type decoded struct {
	Data     string
	Rest     string // behind the body
	Trailers string // as they are forwarded
	Refused  string
	Done     bool
}

// decode gives body to d, cut into reads, each in a buffer of its own.
func decode(t *testing.T, d *http1.Decoder, body string, cuts []int) decoded {
	t.Helper()
	var got decoded
	from := 0
	for _, to := range append(cuts, len(body)) {
		if to < from {
			continue
		}
		b := []byte(body[from:to])
		n, used, err := d.Decode(b)
		if n > used || used > len(b) {
			t.Fatalf("Decode(%q) returns %d bytes of data, %d used", body[from:to], n, used)
		}
		if string(b[used:]) != body[from+used:to] {
			t.Errorf("Decode(%q) changes what it does not use: %q", body[from:to], b)
		}
		got.Data += string(b[:n])
		from += used
		if err != nil {
			got.Refused = refusal(t, err)
			if _, _, again := d.Decode([]byte("0\r\n\r\n")); again == nil {
				t.Error("Decode goes on behind an error")
			}
			return got
		}
		if !d.Done() && used != len(b) {
			t.Fatalf("Decode(%q) uses %d bytes and is not done", body[from-used:to], used)
		}
		if got.Done = d.Done(); got.Done {
			break
		}
	}
	got.Rest = body[from:]
	if got.Done {
		got.Trailers = strings.TrimSuffix(strings.TrimPrefix(string(http1.AppendLastChunk(nil, d.Trailers())), "0\r\n"), "\r\n")
	}
	return got
}

type chunkRow struct {
	name, in string
	want     decoded
}

func chunkRows() []chunkRow {
	ok := func(data, rest, trailers string) decoded { return decoded{data, rest, trailers, "", true} }
	no := func(data, refused string) decoded { return decoded{data, "", "", refused, false} }
	open := func(data string) decoded { return decoded{Data: data} }
	rows := []chunkRow{
		{"empty", "0\r\n\r\n", ok("", "", "")},
		{"one chunk", "5\r\nhello\r\n0\r\n\r\n", ok("hello", "", "")},
		{"two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", ok("hello world", "", "")},
		{"case of the size", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", ok("01234567890123456789", "", "")},
		{"leading zeros", "0000000000000005\r\nhello\r\n000\r\n\r\n", ok("hello", "", "")},
		{"data like a chunk", "7\r\n0\r\n\r\nab\r\n0\r\n\r\n", ok("0\r\n\r\nab", "", "")},
		{"F13 pipelined request stays", "1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n", ok("x", "GET / HTTP/1.1\r\n", "")},
		{"R6 no last chunk", "5\r\nhello\r\n", open("hello")},
		{"R6 no empty line", "5\r\nhello\r\n0\r\n", open("hello")},
		{"R6 chunk without its end", "5\r\nhel", open("hel")},
		{"F10 trailers without end", "0\r\nX:", open("")},
		{"F8 17 digits", "00000000000000005\r\nhello", no("", "400 chunk_size_invalid")},
		{"F8 size above 63 bits", "8000000000000000\r\n", no("", "400 chunk_size_invalid")},
		{"F8 size of all bits", "ffffffffffffffff\r\n", no("", "400 chunk_size_invalid")},
		{"F8 size of 63 bits", "7fffffffffffffff\r\nx", open("x")},
		{"F8 bare LF", "1\nx\r\n0\r\n\r\n", no("", "400 chunk_size_invalid")},
		{"F8 bare LF behind a semicolon", "1;\nx\r\n0\r\n\r\n", no("", "400 chunk_extension_invalid")},
		{"F8 bare LF behind an extension", "1;a\nx\r\n0\r\n\r\n", no("", "400 chunk_extension_invalid")},
		{"F8 bare LF in quotes", "1;a=\"\n\"\r\nx\r\n0\r\n\r\n", no("", "400 chunk_extension_invalid")},
		{"F8 CR CR", "1\r\r;a\r\nx\r\n0\r\n\r\n", no("", "400 chunk_size_invalid")},
		{"F8 CR in an extension", "1;a\rb\r\nx", no("", "400 chunk_size_invalid")},
		{"F8 CR in quotes", "1;a=\"\r\n\"\r\nx", no("", "400 chunk_extension_invalid")},
		{"F8 NUL in an extension", "1;a\x00\r\nx", no("", "400 chunk_extension_invalid")},
		{"F8 NUL in quotes", "1;a=\"\x00\"\r\nx", no("", "400 chunk_extension_invalid")},
		{"F8 NUL behind a backslash", "1;a=\"\\\x00\"\r\nx", no("", "400 chunk_extension_invalid")},
		{"F8 bare semicolon", "1;\r\nx\r\n0\r\n\r\n", no("", "400 chunk_extension_invalid")},
		{"F8 two semicolons", "1;;a\r\nx\r\n0\r\n\r\n", no("", "400 chunk_extension_invalid")},
		{"F8 bare semicolon behind an extension", "1;a;\r\nx\r\n0\r\n\r\n", no("", "400 chunk_extension_invalid")},
		{"F8 unbalanced quote", "1;a=\"b\r\nx\r\n0\r\n\r\n", no("", "400 chunk_extension_invalid")},
		{"F8 text behind quotes", "1;a=\"b\"c\r\nx", no("", "400 chunk_extension_invalid")},
		{"F8 value without a name", "1;=a\r\nx", no("", "400 chunk_extension_invalid")},
		{"F8 name without its value", "1;a=\r\nx", no("", "400 chunk_extension_invalid")},
		{"F8 quoted name", "1;\"a\"\r\nx", no("", "400 chunk_extension_invalid")},
		{"F8 two values", "1;a=b=c\r\nx", no("", "400 chunk_extension_invalid")},
		{"F8 space behind the size", "1 \r\nx\r\n0\r\n\r\n", no("", "400 chunk_size_invalid")},
		{"F8 space between the size and an extension", "1 ;a\r\nx\r\n0\r\n\r\n", no("", "400 chunk_size_invalid")},
		{"F8 space behind an extension", "1;a \r\nx\r\n0\r\n\r\n", no("", "400 chunk_extension_invalid")},
		{"F8 two sizes", "1 2\r\nx", no("", "400 chunk_size_invalid")},
		{"F8 in the last chunk", "0;\r\n\r\n", no("", "400 chunk_extension_invalid")},
		{"F9 extensions are dropped", "5;a;b=c; d = \"e\\\"f\";g\r\nhello\r\n0;x\r\n\r\n", ok("hello", "", "")},
		{"F9 white space around parts", "1;\ta\t= b \t; c\r\nx\r\n0\r\n\r\n", ok("x", "", "")},
		{"F9 extension of 256 bytes", "1;" + strings.Repeat("a", 255) + "\r\nx\r\n0\r\n\r\n", ok("x", "", "")},
		{"F9 extension of 257 bytes", "1;" + strings.Repeat("a", 256) + "\r\nx\r\n0\r\n\r\n", no("", "400 chunk_extension_too_long")},
		{"F9 4 KiB in a body", strings.Repeat("80;"+strings.Repeat("a", 127)+"\r\n"+strings.Repeat("x", 128)+"\r\n", 32) + "0\r\n\r\n", ok(strings.Repeat("x", 4096), "", "")},
		{"F9 more in a body", strings.Repeat("80;"+strings.Repeat("a", 127)+"\r\n"+strings.Repeat("x", 128)+"\r\n", 32) + "0;a\r\n\r\n", no(strings.Repeat("x", 4096), "400 chunk_extension_too_long")},
		{"F9 much for little data", strings.Repeat("1;"+strings.Repeat("a", 250)+"\r\nx\r\n", 3), no("xx", "400 chunk_extension_too_long")},
		{"F10 no CRLF behind the data", "5\r\nhello0\r\n\r\n", no("hello", "400 chunk_data_unended")},
		{"F10 LF behind the data", "5\r\nhello\n0\r\n\r\n", no("hello", "400 chunk_data_unended")},
		{"F10 CR behind the data", "5\r\nhello\r0\r\n\r\n", no("hello", "400 chunk_data_unended")},
		{"F10 spill", "5\r\nhello!\r\n0\r\n\r\n", no("hello", "400 chunk_data_unended")},
		{"F10 CR for the last line", "0\r\n\rX", no("", "400 bare_cr")},
		{"F10 LF for the last line", "0\r\n\n", no("", "400 bare_lf")},
		{"F11 trailers", "1\r\nx\r\n0\r\nX-Sum:  1 \r\nGrpc-Status: 0\r\n\r\nrest", ok("x", "rest", "X-Sum: 1\r\nGrpc-Status: 0\r\n")},
		{"F11 forbidden trailers", "0\r\n" + forbiddenTrailers + "X: 1\r\n\r\n", ok("", "", "X: 1\r\n")},
		{"F11 underscores", "0\r\nContent_Length: 1\r\nX_Y: 1\r\n\r\n", ok("", "", "X_Y: 1\r\n")},
		{"F11 listed by Connection", "0\r\nX-Hop: 1\r\nServer: 1\r\nX: 1\r\n\r\n", ok("", "", "X: 1\r\n")},
		{"F11 folded", "0\r\nX: 1\r\n 2\r\n\r\n", no("", "400 folded_field")},
		{"F11 white space first", "0\r\n X: 1\r\n\r\n", no("", "400 folded_field")},
		{"F11 no colon", "0\r\nX\r\n\r\n", no("", "400 field_name_invalid")},
		{"F11 space before the colon", "0\r\nX : 1\r\n\r\n", no("", "400 space_before_colon")},
		{"F11 bare LF", "0\r\nX: 1\n\r\n", no("", "400 bare_lf")},
		{"F11 NUL", "0\r\nX: \x00\r\n\r\n", no("", "400 control_character")},
		{"F11 long line", "0\r\nX: " + strings.Repeat("a", 8<<10) + "\r\n\r\n", no("", "431 field_too_long")},
		{"F11 too many", "0\r\n" + strings.Repeat("X: 1\r\n", 101) + "\r\n", no("", "431 too_many_fields")},
		{"F11 too large with the head", "0\r\n" + strings.Repeat("X: "+strings.Repeat("a", 8000)+"\r\n", 4) + "X: " + strings.Repeat("a", 700) + "\r\n\r\n", no("", "431 trailers_too_large")},
	}
	for _, size := range []string{"0x1", "+1", "-1", "1_0", " 1", "\t1", "", "g", "1.", "\x001", "1\x00", "\"1\"", "\xb2", "1,2", "\r", "=1", ";a"} {
		rows = append(rows, chunkRow{"F8 size " + size, size + "\r\nx\r\n0\r\n\r\n", no("", "400 chunk_size_invalid")})
	}
	return rows
}

const forbiddenTrailers = "Content-Length: 1\r\ncontent-length: 2\r\nTransfer-Encoding: chunked\r\nHost: b\r\nAuthorization: x\r\nContent-Type: x\r\n" +
	"Trailer: X\r\nConnection: x\r\nKeep-Alive: x\r\nX-Forwarded-For: x\r\nx-forwarded-any: x\r\nForwarded: x\r\nX-Real-IP: x\r\n" +
	"Cookie: x\r\nSet-Cookie: x\r\nTE: x\r\nUpgrade: x\r\nExpect: x\r\nContent-Encoding: x\r\nContent-Range: x\r\nCache-Control: x\r\n"

func TestChunkedRules(t *testing.T) {
	var r http1.Request
	if n, err := feed(t, &r, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: X-HOP, server\r\n\r\n", nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	var d http1.Decoder
	for _, tt := range chunkRows() {
		t.Run(tt.name, func(t *testing.T) {
			d.Reset(&r.Head, limits())
			if diff := cmp.Diff(tt.want, decode(t, &d, tt.in, nil)); diff != "" {
				t.Errorf("body %.200q (-want +got):\n%s", tt.in, diff)
			}
			d.Reset(&r.Head, limits())
			if diff := cmp.Diff(tt.want, decode(t, &d, tt.in, bytewise(tt.in))); diff != "" {
				t.Errorf("body %.200q, byte by byte (-want +got):\n%s", tt.in, diff)
			}
			for i := range min(len(tt.in), 300) {
				d.Reset(&r.Head, limits())
				if diff := cmp.Diff(tt.want, decode(t, &d, tt.in, []int{i})); diff != "" {
					t.Fatalf("body %.200q, cut at %d (-want +got):\n%s", tt.in, i, diff)
				}
			}
		})
	}
}

func TestChunkedResponseIsTheServersFault(t *testing.T) {
	var r http1.Response
	r.ResetFor(http1.MethodGet, 1)
	if n, err := feed(t, &r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", nil, limits()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	var d http1.Decoder
	for in, want := range map[string]string{"x": "502 chunk_size_invalid", "0\r\nX\r\n": "502 field_name_invalid"} {
		d.Reset(&r.Head, limits())
		if got := decode(t, &d, in, nil).Refused; got != want {
			t.Errorf("body %q is refused with %q, want %q", in, got, want)
		}
	}
	d.Reset(&r.Head, limits())
	if got := decode(t, &d, "0\r\nX : 1\r\n\r\n", nil); got.Trailers != "X: 1\r\n" {
		t.Errorf("white space before the colon of a trailer: %+v", got)
	}
}

func TestOffsetOfAnErrorInABody(t *testing.T) {
	for in, want := range map[string]int{"5\r\nhello!": 8, "1;\r\n": 2, "0\r\nX: 1\r\nY: \x00": 12, "0\r\nX\r\n": 4} {
		for _, cuts := range [][]int{nil, bytewise(in)} {
			var d http1.Decoder
			d.Reset(nil, limits())
			var err error
			from := 0
			for _, to := range append(cuts, len(in)) {
				var used int
				if _, used, err = d.Decode([]byte(in[from:to])); err != nil {
					break
				}
				from += used
			}
			e, ok := err.(*http1.Error)
			if !ok || e.Offset != want {
				t.Errorf("body %q is refused by %#v, want offset %d", in, err, want)
			}
		}
	}
}

// TestChunksAreReframedInPlace copies a body as a proxy does: one read is one chunk.
func TestChunksAreReframedInPlace(t *testing.T) {
	const behind = "GET /next HTTP/1.1\r\n"
	big := strings.Repeat("0123456789abcdef", 300)
	tests := []struct{ name, in, want string }{
		{"empty", "0\r\n\r\n", ""},
		{"small", "1\r\nx\r\n0\r\n\r\n", "x"},
		{"many", strings.Repeat("3\r\nabc\r\n", 500) + "0\r\n\r\n", strings.Repeat("abc", 500)},
		{"large", "12c0\r\n" + big + "\r\n0\r\n\r\n", big},
		{"extensions", "1;a=b\r\nx\r\n1;c\r\ny\r\n0\r\nX: 1\r\n\r\n", "xy"},
	}
	for _, tt := range tests {
		for _, size := range []int{1, 2, 3, 5, 7, 64, 4096, 1 << 16} {
			var d, again http1.Decoder
			d.Reset(nil, limits())
			again.Reset(nil, limits())
			in, out := tt.in+behind, ""
			buf := make([]byte, http1.ChunkRoom+size+2)
			var rest string
			for !d.Done() {
				n := copy(buf[http1.ChunkRoom:http1.ChunkRoom+size], in)
				in = in[n:]
				b := buf[http1.ChunkRoom : http1.ChunkRoom+n]
				data, used, err := d.Decode(b)
				if err != nil {
					t.Fatal(err)
				}
				if data > 0 {
					chunk := http1.FrameChunk(buf, http1.ChunkRoom, http1.ChunkRoom+data)
					if d.Done() {
						chunk = http1.AppendLastChunk(chunk, nil)
					}
					out += string(chunk)
				} else if d.Done() {
					out += string(http1.AppendLastChunk(nil, nil))
				}
				rest = string(b[used:]) + in
			}
			if rest != behind {
				t.Errorf("%s, reads of %d: %q behind the body, want %q", tt.name, size, rest, behind)
			}
			want := decoded{Data: tt.want, Done: true}
			if diff := cmp.Diff(want, decode(t, &again, out, nil)); diff != "" {
				t.Errorf("%s, reads of %d: sent on (-want +got):\n%s", tt.name, size, diff)
			}
		}
	}
}

func TestChunkHeader(t *testing.T) {
	for n, want := range map[int]string{1: "1\r\n", 255: "ff\r\n", 65536: "10000\r\n", 1<<63 - 1: "7fffffffffffffff\r\n"} {
		if got := string(http1.AppendChunkHeader(nil, n)); got != want {
			t.Errorf("AppendChunkHeader(%d) is %q, want %q", n, got, want)
		}
	}
}
