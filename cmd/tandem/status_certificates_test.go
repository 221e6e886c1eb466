package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
)

func TestCertificatesForPeople(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	print := strings.Repeat("0123456789abcdef", 4)
	s := admin.Certificates{
		List: []admin.Certificate{
			{Listener: "shop", Names: []string{"shop.example", "*.shop.example"}, NotBefore: now.Add(-day), NotAfter: now.Add(89*day + time.Hour), Key: "ECDSA P-256", Fingerprint: print},
			{Listener: "old", Names: []string{"old.example"}, NotBefore: now.Add(-9 * day), NotAfter: now.Add(-time.Hour), Key: "RSA 2048", Fingerprint: print},
			{Listener: "new", Names: []string{"new.example"}, NotBefore: now.Add(day), NotAfter: now.Add(9 * day), Key: "Ed25519", Fingerprint: print},
			{Pool: "api", Names: []string{"lb"}, NotBefore: now.Add(-day), NotAfter: now.Add(90 * time.Minute), Key: "Ed25519", Fingerprint: print},
		},
		Warnings: []string{`listener "old": /etc/old.pem: the certificate of old.example has expired`},
		Problems: []admin.FilesProblem{{Paths: []string{"/etc/shop.pem", "/etc/shop.key"}, Since: now.Add(-time.Minute), Error: "listener \"shop\": one\nlistener \"web\": two"}},
	}
	want := strings.TrimLeft(`
certificate  listener shop  shop.example *.shop.example  good for another 89 days, ECDSA P-256, sha256 0123456789abcdef
certificate  listener old   old.example                  EXPIRED 1h0m ago, RSA 2048, sha256 0123456789abcdef
certificate  listener new   new.example                  NOT VALID before 2026-01-03 15:00 UTC, Ed25519, sha256 0123456789abcdef
certificate  pool api       lb                           good for another 1h30m, Ed25519, sha256 0123456789abcdef
             WARNING: listener "old": /etc/old.pem: the certificate of old.example has expired
             NOT TAKEN UP for 1m0s, the old ones are in use: /etc/shop.pem /etc/shop.key
             listener "shop": one
             listener "web": two
`, "\n")
	var got strings.Builder
	p := statusPrinter{w: &got, now: now}
	p.certificates(s)
	if diff := cmp.Diff(want, got.String()); p.err != nil || diff != "" {
		t.Errorf("%v; status (-want +got):\n%s", p.err, diff)
	}
	got.Reset()
	if p.certificates(admin.Certificates{}); got.String() != "" {
		t.Errorf("without a certificate it prints %q", got.String())
	}
}
