package http1_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy/http1"
)

// next is what is sent behind a message. Every reader must find it there.
const next = "GET /next HTTP/1.1\r\nHost: next\r\n\r\n"

// takeBody takes the body of a message off the bytes behind its head. It makes up what
// is missing of a short one, and is false if there is no whole body.
func takeBody(t *testing.T, head *http1.Head, b http1.Body, rest string) (body string, trailers *http1.Head, ok bool) {
	t.Helper()
	switch b.Kind {
	case http1.Sized:
		if b.Length > 1<<16 {
			return "", nil, false
		}
		return (rest + strings.Repeat("x", int(b.Length)))[:b.Length], nil, true
	case http1.Chunked:
		var d http1.Decoder
		d.Reset(head, limits())
		wire := []byte(rest)
		n, _, err := d.Decode(wire)
		if err != nil || !d.Done() {
			return "", nil, false
		}
		return string(wire[:n]), d.Trailers(), true
	case http1.UntilClose:
		return rest, nil, true
	}
	return "", nil, true
}

// appendBody writes a body as the head that was written announces it.
func appendBody(wire []byte, b http1.Body, body string, trailers *http1.Head) string {
	if b.Kind != http1.Chunked {
		return string(wire) + body
	}
	if body != "" {
		wire = append(append(http1.AppendChunkHeader(wire, len(body)), body...), "\r\n"...)
	}
	return string(http1.AppendLastChunk(wire, trailers))
}

// roomy are the limits of a reader behind us: what we add may exceed ours.
func roomy() *http1.Limits {
	lim := limits()
	lim.Header += 1 << 10
	lim.Fields += 3
	return lim
}

// ownRequest reads a request as the codec does.
func ownRequest(t *testing.T, wire string) (message, error) {
	t.Helper()
	var r http1.Request
	n, err := r.Parse([]byte(wire), roomy())
	if err != nil || n == 0 {
		return message{}, fmt.Errorf("parsed %d bytes: %w", n, err)
	}
	m := message{Start: string(r.MethodText()) + " " + string(r.RawTarget()) + " " + strings.Trim(string(r.Authority()), "[]"), Rest: wire[n:]}
	m.Fields = ownFields(&r.Head, http1.SetOf(http1.Host))
	m.Body, m.Rest = ownBody(t, &r.Head, r.Body, m.Rest)
	return m, nil
}

func ownFields(h *http1.Head, but http1.Set) []string {
	var all []string
	but |= http1.SetOf(http1.ContentLength, http1.TransferEncoding, http1.Connection, http1.Trailer)
	for _, f := range h.Fields() {
		if !but.Has(f.Known) {
			all = append(all, strings.ToLower(string(h.Bytes(f.Name)))+": "+string(h.Bytes(f.Value)))
		}
	}
	slices.Sort(all)
	return all
}

func ownBody(t *testing.T, h *http1.Head, b http1.Body, rest string) (body, behind string) {
	t.Helper()
	switch b.Kind {
	case http1.Sized:
		return rest[:b.Length], rest[b.Length:]
	case http1.Chunked:
		var d http1.Decoder
		d.Reset(h, limits())
		got := decode(t, &d, rest, nil)
		if !got.Done {
			t.Errorf("own body %q is not read to its end: %+v", rest, got)
		}
		return got.Data, got.Rest
	case http1.UntilClose:
		return rest, ""
	}
	return "", rest
}

// checkRequest forwards the request in, if it is one, and has it read by others.
func checkRequest(t *testing.T, in string) {
	t.Helper()
	var whole, cut http1.Request
	verdict := judgeRequest(t, &whole, in, nil)
	if len(in) < 300 {
		if got := judgeRequest(t, &cut, in, bytewise(in)); got != verdict {
			t.Fatalf("request %q: %q, but %q byte by byte", in, verdict, got)
		}
	}
	n, err := whole.Parse([]byte(in), limits())
	if err != nil || n == 0 {
		return
	}
	body, trailers, ok := takeBody(t, &whole.Head, whole.Body, in[n:])
	if !ok {
		return
	}
	head := forward(t, &whole, &http1.Edit{})
	wire := appendBody([]byte(head), whole.Body, body, trailers) + next
	// The next proxy has nothing to change.
	if again := judgeRequest(t, &cut, head, nil); again != head && len(head) < limits().Header && len(whole.Fields()) < limits().Fields {
		t.Errorf("request %q is forwarded as %q, and that as %q", in, head, again)
	}
	want := message{
		Start: string(whole.MethodText()) + " " + string(whole.AppendTarget(nil)) + " " + strings.Trim(string(whole.Authority()), "[]"),
		Body:  body,
		Rest:  next,
	}
	for _, f := range whole.Fields() {
		if f.Flags == 0 && !http1.SetOf(http1.Host, http1.ContentLength).Has(f.Known) {
			want.Fields = append(want.Fields, strings.ToLower(string(whole.Bytes(f.Name)))+": "+string(whole.Bytes(f.Value)))
		}
	}
	slices.Sort(want.Fields)
	for reader, read := range map[string]func(string) (message, error){
		"net/http": stdRequest, "naive": naiveRequest, "own": func(s string) (message, error) { return ownRequest(t, s) },
	} {
		got, err := read(wire)
		if err != nil {
			t.Errorf("%s refuses %q, forwarded for %q: %v", reader, wire, in, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s reads %q, forwarded for %q (-want +got):\n%s", reader, wire, in, diff)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, tt := range requestRows() {
		if len(tt.in) < 1000 {
			f.Add([]byte(tt.in))
		}
	}
	for _, tt := range chunkRows() {
		if len(tt.in) < 1000 {
			f.Add([]byte(chunkedHead + tt.in))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) { checkRequest(t, string(in)) })
}

func TestForwardedRequestIsReadAlike(t *testing.T) {
	for _, tt := range requestRows() {
		t.Run(tt.name, func(t *testing.T) { checkRequest(t, tt.in) })
	}
	for _, tt := range chunkRows() {
		t.Run(tt.name, func(t *testing.T) { checkRequest(t, chunkedHead+tt.in) })
	}
}

// checkResponse does for a response what checkRequest does.
func checkResponse(t *testing.T, in string, method http1.Method, minor uint8) {
	t.Helper()
	var whole, cut http1.Response
	row := responseRow{method: method, minor: minor, in: in}
	head, kind := judgeResponse(t, &whole, row, nil)
	if len(in) < 300 {
		if h, k := judgeResponse(t, &cut, row, bytewise(in)); h != head || k != kind {
			t.Fatalf("response %q: %q, %q, but %q, %q byte by byte", in, head, kind, h, k)
		}
	}
	whole.ResetFor(method, minor)
	n, err := whole.Parse([]byte(in), limits())
	if err != nil || n == 0 || whole.Body.Kind == http1.Tunnel || whole.Status > 999 {
		return
	}
	body, trailers, ok := takeBody(t, &whole.Head, whole.Body, in[n:])
	if !ok {
		return
	}
	out, err := whole.AppendHead(nil, &http1.Edit{})
	if err != nil {
		t.Fatal(err)
	}
	sent := whole.BodyForClient()
	if again, _ := judgeResponse(t, &cut, responseRow{method: method, minor: minor, in: string(out)}, nil); again != string(out) && len(out) < limits().Header && len(whole.Fields()) < limits().Fields-1 {
		t.Errorf("response %q is forwarded as %q, and that as %q", in, out, again)
	}
	wire := appendBody(out, sent, body, trailers)
	want := message{Start: fmt.Sprint(whole.Status), Body: body}
	if sent.Kind != http1.UntilClose {
		wire += next
		want.Rest = next
	}
	for _, f := range whole.Fields() {
		if f.Flags == 0 && !http1.SetOf(http1.Host, http1.ContentLength).Has(f.Known) {
			want.Fields = append(want.Fields, strings.ToLower(string(whole.Bytes(f.Name)))+": "+string(whole.Bytes(f.Value)))
		}
	}
	slices.Sort(want.Fields)
	text := map[http1.Method]string{http1.MethodGet: "GET", http1.MethodHead: "HEAD", http1.MethodConnect: "CONNECT"}[method]
	bodyless := whole.Body.Kind == http1.NoBody && whole.Status != 205
	for reader, read := range map[string]func(string) (message, error){
		"net/http": func(s string) (message, error) { return stdResponse(s, text) },
		"naive":    func(s string) (message, error) { return naiveResponse(s, bodyless, sent.Kind == http1.UntilClose) },
		"own": func(s string) (message, error) {
			var r http1.Response
			r.ResetFor(method, 1)
			n, err := r.Parse([]byte(s), roomy())
			if err != nil || n == 0 {
				return message{}, fmt.Errorf("parsed %d bytes: %w", n, err)
			}
			m := message{Start: fmt.Sprint(r.Status), Fields: ownFields(&r.Head, 0)}
			m.Body, m.Rest = ownBody(t, &r.Head, r.Body, s[n:])
			return m, nil
		},
	} {
		got, err := read(wire)
		if err != nil {
			t.Errorf("%s refuses %q, forwarded for %q: %v", reader, wire, in, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s reads %q, forwarded for %q (-want +got):\n%s", reader, wire, in, diff)
		}
	}
}

func FuzzResponse(f *testing.F) {
	for _, tt := range responseRows() {
		if len(tt.in) < 1000 {
			f.Add([]byte(tt.in+"5\r\nhello\r\n0\r\n\r\n"), tt.method == http1.MethodHead, tt.minor == 0)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, head, old bool) {
		method, minor := http1.MethodGet, uint8(1)
		if head {
			method = http1.MethodHead
		}
		if old {
			minor = 0
		}
		checkResponse(t, string(in), method, minor)
	})
}

func TestForwardedResponseIsReadAlike(t *testing.T) {
	for _, tt := range responseRows() {
		t.Run(tt.name, func(t *testing.T) {
			for _, behind := range []string{"", "hello", "5\r\nhello\r\n0\r\n\r\n", "0\r\nX: 1\r\n\r\n"} {
				checkResponse(t, tt.in+behind, tt.method, tt.minor)
			}
		})
	}
}

func FuzzChunked(f *testing.F) {
	for _, tt := range chunkRows() {
		if len(tt.in) < 1000 {
			f.Add([]byte(tt.in))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var d http1.Decoder
		d.Reset(nil, limits())
		whole := decode(t, &d, string(in), nil)
		if len(in) < 300 {
			d.Reset(nil, limits())
			if diff := cmp.Diff(whole, decode(t, &d, string(in), bytewise(string(in)))); diff != "" {
				t.Fatalf("body %q, byte by byte (-whole +bytewise):\n%s", in, diff)
			}
		}
		if !whole.Done {
			return
		}
		// Who is less strict must find the same in the bytes as they came.
		got, err := stdRequest(chunkedHead + string(in))
		if err != nil {
			t.Fatalf("net/http refuses the body %q: %v", in, err)
		}
		if got.Body != whole.Data || got.Rest != whole.Rest {
			t.Errorf("body %q is %q before %q, but %q before %q for net/http", in, whole.Data, whole.Rest, got.Body, got.Rest)
		}
		checkRequest(t, chunkedHead+string(in))
	})
}
