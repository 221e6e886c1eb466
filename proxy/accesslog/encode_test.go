package accesslog

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// full returns an entry with every value.
func full() *Entry {
	return &Entry{
		Start:    time.Date(2026, 11, 25, 4, 5, 6, 7_999_999, time.FixedZone("", 3600)),
		Latency:  12*time.Millisecond + 345678*time.Nanosecond,
		Listener: "shop",
		Reason:   OK,
		Request: Request{
			Client: netip.MustParseAddr("203.0.113.7"), Method: []byte("GET"), Host: []byte("shop.example"),
			Path: []byte("/a?b=c"), Bytes: 17, CorrelationID: []byte("c1"), TenantID: []byte("t1"), TraceID: []byte("f00"),
		},
		Response: Response{Status: 200, Bytes: 1234567890123},
		Upstream: Upstream{Pool: "web", Server: "192.0.2.21:8080", Connect: time.Millisecond, FirstByte: 2 * time.Second, Retries: 1},
	}
}

func encode(e *Entry) string {
	var s stamp
	return string(e.append(nil, &s))
}

func TestLine(t *testing.T) {
	tests := []struct {
		name string
		e    *Entry
		want string
	}{
		{"every value", full(), `{"time":"2026-11-25T03:05:06.007Z","client":"203.0.113.7","method":"GET","host":"shop.example","path":"/a?b=c","status":200,` +
			`"bytes":1234567890123,"requestBytes":17,"latencyMs":12.345,"connectMs":1,"firstByteMs":2000,"server":"192.0.2.21:8080","listener":"shop","pool":"web",` +
			`"retries":1,"correlationId":"c1","tenantId":"t1","traceId":"f00","reason":"ok"}` + "\n"},
		{"no optional value", &Entry{Start: time.Unix(0, 0), Listener: "shop", Reason: ClientTimeoutHeader, Latency: -time.Second},
			`{"time":"1970-01-01T00:00:00.000Z","client":"","method":"","host":"","path":"","status":0,"bytes":0,"requestBytes":0,"latencyMs":0,` +
				`"listener":"shop","retries":0,"reason":"client_timeout_header"}` + "\n"},
		{"IPv6 client with a zone", &Entry{Start: time.Unix(0, 0), Request: Request{Client: netip.MustParseAddr(`fe80::1%"`)}, Latency: 70 * time.Microsecond},
			`{"time":"1970-01-01T00:00:00.000Z","client":"fe80::1","method":"","host":"","path":"","status":0,"bytes":0,"requestBytes":0,"latencyMs":0.070,` +
				`"listener":"","retries":0,"reason":""}` + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := encode(tt.e)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
			if !json.Valid([]byte(got)) {
				t.Error("the line is not JSON")
			}
		})
	}
}

func TestTextIsEscaped(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"plain", "/a b~", `/a b~`},
		{"quote and backslash", `"\`, `\"\\`},
		{"end of line", "a\r\nb", `a\u000d\u000ab`},
		{"terminal", "\x1b[2J\x7f\u009b", `\u001b[2J\u007f\u009b`},
		{"nul", "\x00", `\u0000`},
		{"UTF-8", "ü€🚀", "ü€🚀"},
		{"not UTF-8", "a\xffb\xc3", "a\ufffdb\ufffd"},
		{"a surrogate", "\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(appendText(nil, tt.text, 100)); got != tt.want {
				t.Errorf("appendText(%q) = %s, want %s", tt.text, got, tt.want)
			}
			if got := string(appendText(nil, []byte(tt.text), 100)); got != tt.want {
				t.Errorf("appendText([]byte(%q)) = %s, want %s", tt.text, got, tt.want)
			}
		})
	}
}

func TestLongTextIsCut(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"as long as it may be", "12345678", "12345678"},
		{"too long", "123456789", "12345678…"},
		{"in the middle of a character", "1234567€", "1234567…"},
		{"behind bytes that are no character", "1234\x80\x80\x80\x80\x80", "1234\ufffd…"},
		{"by its escapes", "1\n\n", `1\u000a…`},
		{"behind an escape", "\n345", `\u000a34…`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(appendText(nil, tt.text, 8)); got != tt.want {
				t.Errorf("appendText = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTimeFollowsTheSecond(t *testing.T) {
	var s stamp
	start := time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, d := range []time.Duration{0, 999 * time.Millisecond, time.Second, 500 * time.Millisecond, time.Hour} {
		want := start.Add(d).Format("2006-01-02T15:04:05.000Z")
		if got := string(s.append(nil, start.Add(d))); got != want {
			t.Errorf("time %s, want %s", got, want)
		}
	}
}

func TestLongestLineFits(t *testing.T) {
	worst := []byte(strings.Repeat("\x00", 1<<16))
	e := full()
	e.Request.Method, e.Request.Host, e.Request.Path = worst, worst, worst
	e.Request.CorrelationID, e.Request.TenantID, e.Request.TraceID = worst, worst, worst
	e.Listener, e.Reason, e.Upstream.Pool, e.Upstream.Server = string(worst), Reason(worst), string(worst), string(worst)
	e.Request.Bytes, e.Response.Bytes, e.Response.Status, e.Upstream.Retries = -1<<63, -1<<63, -1<<63, -1<<63
	e.Latency, e.Upstream.Connect, e.Upstream.FirstByte = 1<<63-1, 1<<63-1, 1<<63-1
	const pipe = 4096 // bytes that are written at once (POSIX, PIPE_BUF, as Linux has it)
	if n := len(encode(e)); n > maxLine || n > pipe {
		t.Errorf("the longest line has %d bytes, more than %d or %d", n, maxLine, pipe)
	}
}

// FuzzLine checks that any bytes give one line of JSON that holds them, but for what
// is no text.
func FuzzLine(f *testing.F) {
	f.Add([]byte("GET"), []byte("shop.example"), []byte("/ü\x00\xff\"\\\u2028"), "web", int64(1), 200)
	f.Add([]byte(""), []byte("\xf0\x9f\x9a"), []byte(strings.Repeat("€", 400)), "\x1b", int64(-1), -1)
	f.Fuzz(func(t *testing.T, method, host, path []byte, name string, n int64, status int) {
		e := &Entry{
			Start: time.Unix(n%1e10, n%1e9), Latency: time.Duration(n), Listener: name, Reason: Reason(name),
			Request:  Request{Method: method, Host: host, Path: path, Bytes: n, CorrelationID: host},
			Response: Response{Status: status, Bytes: n},
			Upstream: Upstream{Server: name, Connect: time.Duration(n), FirstByte: time.Duration(n), Retries: status},
		}
		line := encode(e)
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || len(line) > maxLine {
			t.Errorf("%q is not one line", line)
		}
		for _, r := range strings.TrimSuffix(line, "\n") {
			if unicode.IsControl(r) {
				t.Errorf("control character %q in %q", r, line)
			}
		}
		if !utf8.ValidString(line) {
			t.Errorf("%q is not UTF-8", line)
		}
		var got struct {
			Method, Host, Path, CorrelationID, Server, Listener, Reason string
			Status                                                      int
			Bytes, RequestBytes                                         int64
			LatencyMs                                                   float64
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if got.Status != status || got.Bytes != n || got.RequestBytes != n || got.LatencyMs < 0 {
			t.Errorf("numbers %+v of %+v", got, e)
		}
		for _, text := range []struct {
			name, in, out string
			limit         int
		}{
			{"method", string(method), got.Method, maxMethod},
			{"host", string(host), got.Host, maxHost},
			{"path", string(path), got.Path, maxPath},
			{"listener", name, got.Listener, maxName},
		} {
			clean := string([]rune(text.in)) // each byte that is no text replaced
			written := len(appendText(nil, text.in, 1<<20))
			if written <= text.limit && text.out != clean {
				t.Errorf("%s %q, want %q", text.name, text.out, clean)
			}
			if begin, cut := strings.CutSuffix(text.out, mark); written > text.limit && (!cut || !strings.HasPrefix(clean, strings.TrimRight(begin, "\ufffd"))) {
				t.Errorf("%s %q is not the beginning of %q", text.name, text.out, clean)
			}
		}
	})
}
