package clienthello

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wire is one side of a connection: what is written is kept, and what is read was said
// before. It ends there.
type wire struct {
	net.Conn // nil: nothing else is called
	in       io.Reader
	out      []byte
}

func (w *wire) Read(b []byte) (int, error) { return w.in.Read(b) }
func (w *wire) Write(b []byte) (int, error) {
	w.out = append(w.out, b...)
	return len(b), nil
}
func (w *wire) Close() error                     { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// says returns the first flight of a client of crypto/tls.
func says(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	w := &wire{in: strings.NewReader("")}
	c.InsecureSkipVerify = true //nolint:gosec // there is no handshake
	if err := tls.Client(w, c).Handshake(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return w.out
}

// records returns message in records of some size each.
func records(message []byte, size int) (b []byte) {
	for len(message) > 0 {
		n := min(size, len(message))
		b = append(b, handshake, 3, 1, byte(n>>8), byte(n))
		b = append(b, message[:n]...)
		message = message[n:]
	}
	return b
}

// vec is something with its length before it, in n bytes.
func vec(n int, parts ...string) string {
	s := strings.Join(parts, "")
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))[4-n:]) + s
}

// hello returns a hello of those extensions, in one record.
func hello(extensions ...string) string {
	return message("\x03\x03"+strings.Repeat("r", 32), vec(1), vec(2, "\x13\x01"), vec(1, "\x00"), vec(2, extensions...))
}

func message(parts ...string) string {
	return string(records([]byte("\x01"+vec(3, parts...)), maxRecord))
}

func extension(kind byte, value string) string { return "\x00" + string([]byte{kind}) + vec(2, value) }

func name(s string) string { return "\x00" + vec(2, s) }

func TestWhatAClientAsksForIsRead(t *testing.T) {
	for what, tc := range map[string]struct {
		config *tls.Config
		want   Hello
	}{
		"a name":               {&tls.Config{ServerName: "example.org"}, Hello{ServerName: "example.org"}},
		"a name in upper case": {&tls.Config{ServerName: "WWW.Example.ORG"}, Hello{ServerName: "www.example.org"}},
		"no name":              {&tls.Config{}, Hello{}},
		"an address":           {&tls.Config{ServerName: "192.0.2.1"}, Hello{}}, // which is none, and so not sent
		"protocols":            {&tls.Config{ServerName: "example.org", NextProtos: []string{"h2", "http/1.1"}}, Hello{"example.org", []string{"h2", "http/1.1"}}},
		"TLS 1.2":              {&tls.Config{ServerName: "example.org", MaxVersion: tls.VersionTLS12}, Hello{ServerName: "example.org"}},
		"TLS 1.0":              {&tls.Config{ServerName: "example.org", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, Hello{ServerName: "example.org"}},
	} {
		t.Run(what, func(t *testing.T) {
			b := says(t, tc.config)
			body := b[recordHead:]
			for cut, whole := range map[string][]byte{
				"": b, "with something behind": append(b[:len(b):len(b)], "\x14\x03\x03"...),
				"in records of 100 bytes": records(body, 100), "of 1 byte": records(body, 1), "of 3 bytes": records(body, 3),
			} {
				got, complete, err := Parse(whole)
				if diff := cmp.Diff(tc.want, got); diff != "" || !complete || err != nil {
					t.Errorf("%s: complete: %v, %v (-want +got):\n%s", cut, complete, err, diff)
				}
			}
			for i := range b {
				if got, complete, err := Parse(b[:i]); complete || err != nil || got.ServerName != "" {
					t.Fatalf("of its first %d bytes: %+v, complete: %v, %v", i, got, complete, err)
				}
			}
		})
	}
}

func TestUnusualHellosAreRead(t *testing.T) {
	for what, tc := range map[string]struct {
		b    string
		want Hello
	}{
		"without extensions":     {message("\x03\x01"+strings.Repeat("r", 32), vec(1), vec(2, "\x00\x2f"), vec(1, "\x00")), Hello{}},
		"with none of them":      {hello(), Hello{}},
		"names of another kind":  {hello(extension(0, vec(2, "\x07"+vec(2, "x"), name("a.example")))), Hello{ServerName: "a.example"}},
		"only another kind":      {hello(extension(0, vec(2, "\x07"+vec(2, "x")))), Hello{}},
		"a name with underscore": {hello(extension(0, vec(2, name("_a.example")))), Hello{ServerName: "_a.example"}},
		"unknown extensions":     {hello(extension(99, "x"), extension(99, ""), extension(16, vec(2, vec(1, "h2")))), Hello{Protocols: []string{"h2"}}},
		"the longest":            {hello(extension(99, strings.Repeat("x", MaxSize-recordHead-messageHead-2-32-1-4-2-2-4))), Hello{}},
	} {
		t.Run(what, func(t *testing.T) {
			got, complete, err := Parse([]byte(tc.b))
			if diff := cmp.Diff(tc.want, got); diff != "" || !complete || err != nil {
				t.Errorf("complete: %v, %v (-want +got):\n%s", complete, err, diff)
			}
		})
	}
}

func TestWhatIsNoHelloIsRefused(t *testing.T) {
	random := "\x03\x03" + strings.Repeat("r", 32)
	for what, tc := range map[string]struct {
		b      string
		reason Reason
	}{
		"HTTP":                       {"GET / HTTP/1.1\r\n", NotTLS},
		"an alert":                   {"\x15\x03\x01\x00\x02\x01\x00", NotTLS},
		"SSL 2":                      {"\x80\x2e\x01\x00\x02", NotTLS},
		"another version of records": {"\x16\x02", NotTLS},
		"an answer":                  {"\x16\x03\x03\x00\x04\x02", NotTLS},
		"an alert within":            {string(records([]byte("\x01\x00\x01"), 3)) + "\x15", NotTLS},
		"an empty record":            {"\x16\x03\x01\x00\x00", Malformed},
		"a long record":              {"\x16\x03\x01\x40\x01", Malformed},
		"a long message":             {"\x16\x03\x01\x40\x00\x01\x00\x40\x00", TooLong},
		"a huge message":             {"\x16\x03\x01\x40\x00\x01\xff\xff\xff", TooLong},
		"many small records":         {string(records([]byte("\x01\x00\x3f\x00"+strings.Repeat("x", 0x3f00)), 1)), TooLong},
		"nothing":                    {message(), Malformed},
		"half the random":            {message(random[:20]), Malformed},
		"a long session":             {message(random, vec(1, strings.Repeat("s", 33)), vec(2, "\x13\x01"), vec(1, "\x00")), Malformed},
		"no suites":                  {message(random, vec(1), vec(2), vec(1, "\x00")), Malformed},
		"half a suite":               {message(random, vec(1), vec(2, "\x13\x01\x13"), vec(1, "\x00")), Malformed},
		"no compression":             {message(random, vec(1), vec(2, "\x13\x01"), vec(1)), Malformed},
		"extensions that end early":  {message(random, vec(1), vec(2, "\x13\x01"), vec(1, "\x00"), vec(2), "x"), Malformed},
		"extensions that end late":   {message(random, vec(1), vec(2, "\x13\x01"), vec(1, "\x00"), "\x00\x09"), Malformed},
		"half an extension":          {hello("\x00\x63\x00"), Malformed},
		"an extension too long":      {hello("\x00\x63\x00\x02x"), Malformed},
		"two lists of names":         {hello(extension(0, vec(2, name("a"))), extension(0, vec(2, name("b")))), Malformed},
		"two names":                  {hello(extension(0, vec(2, name("a"), name("b")))), Malformed},
		"no names":                   {hello(extension(0, vec(2))), Malformed},
		"no list":                    {hello(extension(0, "")), Malformed},
		"an empty name":              {hello(extension(0, vec(2, name("")))), Malformed},
		"a name too long":            {hello(extension(0, vec(2, "\x00\x00\x09a"))), Malformed},
		"names and more":             {hello(extension(0, vec(2, name("a"))+"x")), Malformed},
		"a dot at the end":           {hello(extension(0, vec(2, name("example.org.")))), Malformed},
		"a space":                    {hello(extension(0, vec(2, name("example org")))), Malformed},
		"a zero":                     {hello(extension(0, vec(2, name("example.org\x00.evil.example")))), Malformed},
		"not ASCII":                  {hello(extension(0, vec(2, name("bücher.example")))), Malformed},
		"256 bytes of name":          {hello(extension(0, vec(2, name(strings.Repeat("a", 256))))), Malformed},
		"no protocols":               {hello(extension(16, vec(2))), Malformed},
		"an empty protocol":          {hello(extension(16, vec(2, vec(1)))), Malformed},
		"a protocol too long":        {hello(extension(16, vec(2, "\x09h2"))), Malformed},
		"protocols twice":            {hello(extension(16, vec(2, vec(1, "a"))), extension(16, vec(2, vec(1, "b")))), Malformed},
	} {
		t.Run(what, func(t *testing.T) {
			h, complete, err := Parse([]byte(tc.b))
			refused, ok := errors.AsType[*Error](err)
			if !ok || refused.Reason != tc.reason || complete || !cmp.Equal(h, Hello{}) {
				t.Errorf("%+v, complete: %v, %v; want the reason %q", h, complete, err, tc.reason)
			}
			if ok && !strings.HasPrefix(err.Error(), "TLS hello: ") {
				t.Errorf("%q does not say what it is about", err)
			}
		})
	}
}
