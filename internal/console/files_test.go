package console

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestTokenFiles(t *testing.T) {
	tests := []struct {
		name, text string
		mode       os.FileMode
		want       string // in the error; empty: it is good
	}{
		{"good", token, 0o600, ""},
		{"with an end of line", token + "\n", 0o640, ""},
		{"readable by everyone", token, 0o644, "chmod 0640"},
		{"writable by everyone", token, 0o602, "chmod 0640"},
		{"short", token[1:], 0o600, "31 bytes, at least 32"},
		{"short but for spaces", token[1:] + " \n\n", 0o600, "31 bytes, at least 32"},
		{"empty", "", 0o600, "0 bytes, at least 32"},
		{"two lines", token + "\n" + token, 0o600, "more than one line"},
		{"not ASCII", token + "é", 0o600, "printable ASCII"},
		{"long", strings.Repeat("a", tokenMax+1), 0o600, "more than 4096 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			writeFile(t, path, tt.text, tt.mode)
			_, err := readToken(path)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), token[:20]) {
				t.Errorf("the message tells the token: %v", err)
			}
		})
	}
	if _, err := readToken(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := readToken(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "tandem keygen") {
		t.Errorf("none: %v", err)
	}
}

// replace puts a file in the place of another, as tools do that want no reader to see
// half of it.
func replace(t *testing.T, path, text string) {
	t.Helper()
	writeFile(t, path+".new", text, 0o600)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestATokenIsReadAgainAndNoneIsKept(t *testing.T) {
	path := tokenFile(t)
	c := open(t, Options{TokenFile: path})
	now := time.Now()
	digest1, err := c.token.get(now)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, path, strings.Repeat("b", 32))
	now = now.Add(lookEvery)
	digest2, err := c.token.get(now)
	if err != nil || digest1 == digest2 {
		t.Errorf("after the change: the same %t, %v", digest1 == digest2, err)
	}
	// A token that may have become known is not good for any longer.
	replace(t, path, "short")
	now = now.Add(lookEvery)
	if _, err := c.token.get(now); err == nil {
		t.Error("a bad file leaves the old token")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lookEvery)
	if _, err := c.token.get(now); err == nil {
		t.Error("no file leaves the old token")
	}
	replace(t, path, token)
	now = now.Add(lookEvery)
	if again, err := c.token.get(now); err != nil || again != digest1 {
		t.Errorf("once it is there again: %v", err)
	}
}

func TestWatchedFilesAreLookedAtNowAndThen(t *testing.T) {
	path := tokenFile(t)
	made := 0
	w := &watched[int]{paths: []string{path}, make: func() (int, error) { made++; return made, nil }}
	now := time.Now()
	for range 5 {
		_, _ = w.get(now)
		now = now.Add(lookEvery)
	}
	if made != 1 {
		t.Errorf("made %d times of a file that is the same", made)
	}
	replace(t, path, "other")
	if got, _ := w.get(now.Add(-lookEvery / 2)); got != 1 {
		t.Errorf("looked at again within %v", lookEvery)
	}
	if got, _ := w.get(now); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

func TestWhatIsKeptOutlivesABadFile(t *testing.T) {
	path := tokenFile(t)
	var failure error
	var told []error
	w := &watched[string]{
		paths: []string{path}, keep: true, changed: func(err error) { told = append(told, err) },
		make: func() (string, error) { return "value", failure },
	}
	now := time.Now()
	_, _ = w.get(now)
	failure = errors.New("half written")
	replace(t, path, "half")
	if got, err := w.get(now.Add(lookEvery)); got != "value" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if len(told) != 1 || !errors.Is(told[0], failure) {
		t.Errorf("told %v", told)
	}
}

// writePair writes a certificate for 127.0.0.1 with a serial number, and its key.
func writePair(t *testing.T, dir string, serial int64) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "lb1"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "admin.pem"), filepath.Join(dir, "admin.key")
	replace(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	replace(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})))
	pool = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return cert, key, pool
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key, roots := writePair(t, dir, 1)
	c := open(t, Options{Cert: cert, Key: key, TokenFile: tokenFile(t)})
	run(t, c)
	serial := func(roots *x509.CertPool, most uint16) (int64, error) {
		k, err := tls.Dial("tcp", c.Addr().String(), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: most, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			return 0, err
		}
		defer k.Close()
		if p := k.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
			t.Errorf("speaks %q", p)
		}
		return k.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
	}
	if n, err := serial(roots, tls.VersionTLS13); n != 1 || err != nil {
		t.Fatalf("serial %d, %v", n, err)
	}
	if _, err := serial(roots, tls.VersionTLS11); err == nil {
		t.Error("speaks TLS 1.1")
	}
	_, _, roots = writePair(t, dir, 2)
	// Handshakes look at the files once in a while.
	c.pair.mu.Lock()
	c.pair.looked = c.pair.looked.Add(-lookEvery)
	c.pair.mu.Unlock()
	if n, err := serial(roots, tls.VersionTLS12); n != 2 || err != nil {
		t.Errorf("after the change: serial %d, %v", n, err)
	}
}

func TestOpenRefusesBadFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key, _ := writePair(t, dir, 1)
	good := Options{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Cert: cert, Key: key, Node: &fakeNode{}, Log: zap.NewNop()}
	tests := []struct {
		name   string
		change func(o *Options)
		want   string
	}{
		{"no token file", func(o *Options) { o.TokenFile = filepath.Join(dir, "none") }, "tandem keygen"},
		{"a key for everyone", func(*Options) { writeFile(t, key, "x", 0o644) }, "can be read by everyone"},
		{"no key", func(*Options) { replace(t, key, "x") }, "read the admin certificate"},
		{"no certificate", func(o *Options) { o.Cert = filepath.Join(dir, "none") }, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.change(&o)
			c, err := Open(t.Context(), o)
			if err == nil {
				c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if _, err := Check(o, time.Now()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestCheckTellsOfTheEndOfTheCertificate(t *testing.T) {
	cert, key, _ := writePair(t, t.TempDir(), 1)
	c, err := readCertificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		left time.Duration
		want string
	}{{soon + time.Hour, ""}, {time.Hour, "expires at"}, {0, "has expired at"}} {
		got, err := Check(Options{Cert: cert, Key: key, TokenFile: tokenFile(t)}, c.Leaf.NotAfter.Add(-tt.left))
		if text := strings.Join(got, "\n"); err != nil || (text == "") != (tt.want == "") || !strings.Contains(text, tt.want) {
			t.Errorf("%v before its end: %q, %v; want %q", tt.left, text, err, tt.want)
		}
	}
}
