package clienthello

import (
	"bytes"
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// secondOpinion returns what a server of crypto/tls makes of a first flight; ok: it has
// got so far.
func secondOpinion(b []byte) (h Hello, ok bool) {
	enough := errors.New("enough")
	_ = tls.Server(&wire{in: bytes.NewReader(b)}, &tls.Config{
		GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
			h, ok = Hello{ServerName: strings.ToLower(i.ServerName), Protocols: i.SupportedProtos}, true
			return nil, enough
		},
	}).Handshake()
	return h, ok
}

func FuzzParse(f *testing.F) {
	real := says(f, &tls.Config{ServerName: "example.org", NextProtos: []string{"h2", "http/1.1"}})
	f.Add(real)
	f.Add(records(real[recordHead:], 50))
	f.Add(says(f, &tls.Config{ServerName: "example.org", MaxVersion: tls.VersionTLS12}))
	for _, s := range []string{
		hello(extension(0, vec(2, name("a.example"))), extension(16, vec(2, vec(1, "h2")))), hello(extension(0, vec(2, name("a"), name("b")))),
		hello(), message(), "\x16\x03\x01", "GET / HTTP/1.1\r\n", hello(extension(0, vec(2, name("a\x00")))),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, complete, err := Parse(b)
		refused, ours := errors.AsType[*Error](err)
		if err != nil && (!ours || complete || !cmp.Equal(h, Hello{})) {
			t.Fatalf("%+v, complete: %v with the error %v", h, complete, err)
		}
		if err == nil && !complete && len(b) >= MaxSize {
			t.Fatalf("%d bytes are not enough", len(b))
		}
		second, ok := secondOpinion(b)
		switch {
		case !ok:
		case complete:
			if diff := cmp.Diff(second, h, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("crypto/tls reads something else (-its +ours):\n%s", diff)
			}
		case err == nil:
			t.Fatalf("crypto/tls has it all: %+v", second)
		case refused.Reason == NotTLS && b[1] == 3: // it cares less for the version of records
			t.Fatalf("%v; crypto/tls reads %+v", err, second)
		}
		for _, i := range []int{len(b) / 2, len(b) / 3} {
			if _, early, err := Parse(b[:i]); complete && err != nil || early && !complete {
				t.Fatalf("of the first %d bytes: complete: %v, %v; of all %v", i, early, err, complete)
			}
		}
	})
}

// What crypto/tls says is understood, whatever the size of its records.
func TestTheSecondOpinionIsOne(t *testing.T) {
	want := Hello{"example.org", []string{"h2"}}
	got, ok := secondOpinion(says(t, &tls.Config{ServerName: "Example.org", NextProtos: want.Protocols}))
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("crypto/tls reads (-want +got):\n%s", diff)
	}
}
