package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/internal/config"
)

func goodFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no good files: %v", err)
	}
	return append(files, "testdata/reference.yaml")
}

// TestEffective shows what each file means with every default written out, and
// that this means the same.
func TestEffective(t *testing.T) {
	for _, file := range goodFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := parse(t, string(src))
			got := c.Effective()
			wantFile := strings.TrimSuffix(file, ".yaml") + ".effective"
			if *update {
				if err := os.WriteFile(wantFile, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("effective config (-want +got):\n%s", diff)
			}
			checkRoundTrip(t, c)
		})
	}
}

// checkRoundTrip parses what c writes out, which must give c.
func checkRoundTrip(t *testing.T, c *config.Config) {
	t.Helper()
	again, err := config.Parse("effective.yaml", c.Effective())
	if err != nil {
		t.Fatalf("parse the effective config: %v\n%s", err, c.Effective())
	}
	if diff := cmp.Diff(c, again, values); diff != "" {
		t.Errorf("config after a round trip (-want +got):\n%s", diff)
	}
	if c.Hash() != again.Hash() {
		t.Errorf("hash after a round trip = %s, want %s", again.Hash(), c.Hash())
	}
}

func TestHash(t *testing.T) {
	const base = `
nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}
vips: {a: {addresses: 192.0.2.100/24}, b: {addresses: 192.0.2.101/24, prefer: lb2}}
listeners: {web: {bind: ":80", pool: web}, api: {bind: ":81", servers: [192.0.2.31:80, 192.0.2.32:80]}}
pools: {web: {servers: 192.0.2.21:80, check: tcp}}
`
	tests := []struct {
		name     string
		old, new string // what is replaced in base
		same     bool
	}{
		{"a comment", "pools:", "# here\npools:", true},
		{"quotes", "addresses: 192.0.2.100/24", "addresses: '192.0.2.100/24'", true},
		{"a default written out", "bind: \":80\",", "bind: \":80\", protocol: http,", true},
		{"a list of one", "servers: 192.0.2.21:80", "servers: [192.0.2.21:80]", true},
		{"the long form of a check", "check: tcp", "check: {tcp: true, fall: 3}", true},
		{"another way to write a duration", "prefer: lb2", "prefer: lb2, lease: 2000ms", true},
		{"another way to write a size", "bind: \":80\",", "bind: \":80\", limits: {header_bytes: 32768B},", true},
		{"another way to write a share", "pools:", "log: {access: {sample: 100.0%}, request_id: X-Request-ID}\npools:", true},
		{"the order of listeners", "{web: {bind: \":80\", pool: web}, api: {bind: \":81\", servers: [192.0.2.31:80, 192.0.2.32:80]}}", "{api: {bind: \":81\", servers: [192.0.2.31:80, 192.0.2.32:80]}, web: {bind: \":80\", pool: web}}", true},
		{"the order of VIPs", "{a: {addresses: 192.0.2.100/24}, b: {addresses: 192.0.2.101/24, prefer: lb2}}", "{b: {addresses: 192.0.2.101/24, prefer: lb2}, a: {addresses: 192.0.2.100/24}}", true},
		{"a pool of its own, or the same one named", "api: {bind: \":81\", servers: [192.0.2.31:80, 192.0.2.32:80]}}\npools: {", "api: {bind: \":81\", pool: api}}\npools: {api: {servers: [192.0.2.31:80, 192.0.2.32:80]}, ", true},
		{"the order of nodes, which decides who is preferred", "{lb1: 192.0.2.11, lb2: 192.0.2.12}", "{lb2: 192.0.2.12, lb1: 192.0.2.11}", false},
		{"the order of servers, which take turns", "[192.0.2.31:80, 192.0.2.32:80]", "[192.0.2.32:80, 192.0.2.31:80]", false},
		{"a port", "\":80\"", "\":82\"", false},
		{"a name", "web: {servers", "web: {servers: 192.0.2.20:80}, web2: {servers", false},
		{"a key file", "pools:", "cluster: {key_file: /k}\npools:", false},
		{"a limit of a listener", "bind: \":80\",", "bind: \":80\", limits: {headers: 99},", false},
		{"a timeout of a listener", "bind: \":80\",", "bind: \":80\", timeouts: {tunnel: 2h},", false},
		{"a trusted network", "bind: \":80\",", "bind: \":80\", trust_forwarded: 10.0.0.0/8,", false},
		{"a timeout of a pool", "check: tcp", "check: tcp, timeouts: {connect: 1s}", false},
		{"a limit of a pool", "check: tcp", "check: tcp, limits: {age: 1m}", false},
		{"a share of the log", "pools:", "log: {access: {sample: 50%}}\npools:", false},
		{"a tenant", "pools:", "log: {tenant: x-tenant}\npools:", false},
		{"a level", "pools:", "log: {level: warn}\npools:", false},
		{"routes to one pool", "bind: \":80\", pool: web", "bind: \":80\", routes: {split: {web: 7}}", true},
		{"a default of retries written out", "check: tcp", "check: tcp, retry: {on: [reset, connect], budget: 20%}", true},
		{"a server in the long form", "servers: 192.0.2.21:80", "servers: {address: 192.0.2.21:80, weight: 1, backup: false}", true},
		{"outlier ejection", "check: tcp", "check: tcp, outlier: true", false},
		{"a circuit breaker", "check: tcp", "check: tcp, breaker: true", false},
		{"no retries", "check: tcp", "check: tcp, retry: false", false},
		{"a policy", "check: tcp", "check: tcp, balance: random", false},
		{"a sticky cookie", "check: tcp", "check: tcp, sticky: {cookie: A}", false},
		{"a weight", "servers: 192.0.2.21:80", "servers: {address: 192.0.2.21:80, weight: 2}", false},
		{"TLS of a listener", "bind: \":80\",", "bind: \":80\", tls: a.pem,", false},
		{"TLS to servers", "check: tcp", "check: tcp, tls: true", false},
		{"no TLS to servers, written out", "check: tcp", "check: tcp, tls: false", true},
		{"a redirect", "bind: \":80\", pool: web", "bind: \":80\", routes: {redirect: /a}", false},
	}
	want := parse(t, base).Hash()
	if len(want) != 12 || strings.Trim(want, "0123456789abcdef") != "" {
		t.Fatalf("Hash = %q, want 12 hexadecimal digits", want)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := strings.Replace(base, tt.old, tt.new, 1)
			if src == base {
				t.Fatalf("%q is not in the base config", tt.old)
			}
			if got := parse(t, src).Hash(); (got == want) != tt.same {
				t.Errorf("Hash = %s, of the base config %s; want the same: %t", got, want, tt.same)
			}
		})
	}
}

func TestHashOfRoutes(t *testing.T) {
	const base = `
listeners:
  web:
    bind: ":80"
    routes:
      - match: {host: [a.example, b.example], header: {x-a: "1", x-b: true}, cookie: {a: b, c: d}, path: /api}
        split: {web: 1, api: 2}
        request_headers: {set: {x-a: b, x-c: d}, remove: [x-e, x-f]}
        rate_limit: {requests: 5}
      - pool: api
pools: {web: {servers: 192.0.2.21:80}, api: {servers: 192.0.2.22:80}}
`
	tests := []struct {
		name     string
		old, new string // what is replaced in base
		same     bool
	}{
		{"the order of shares", "web: 1, api: 2", "api: 2, web: 1", true},
		{"the order of fields", "x-a: \"1\", x-b: true", "X-B: true, X-A: 1", true},
		{"the order of cookies", "a: b, c: d", "c: d, a: b", true},
		{"the order of edits", "x-a: b, x-c: d", "x-c: d, x-a: b", true},
		{"the order of removals", "x-e, x-f", "x-f, X-E", true},
		{"the case of a host", "a.example", "A.example", true},
		{"a slash behind a prefix", "path: /api", "path: {prefix: /%61pi/}", true},
		{"a default of a rate limit", "requests: 5", "requests: 5, per: 1s, burst: 5, by: client", true},
		{"a weight", "web: 1", "web: 3", false},
		{"a value", "x-b: true", "x-b: yes", false},
		{"a value of that word", "x-b: true", "x-b: {exact: true}", false},
		{"a kind of path", "path: /api", "path: {exact: /api}", false},
		{"one route more", "- pool: api", "- {match: {method: GET}, pool: web}\n      - pool: api", false},
	}
	want := parse(t, base).Hash()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := strings.Replace(base, tt.old, tt.new, 1)
			if src == base {
				t.Fatalf("%q is not in the base config", tt.old)
			}
			c := parse(t, src)
			if got := c.Hash(); (got == want) != tt.same {
				t.Errorf("Hash = %s, of the base config %s; want the same: %t", got, want, tt.same)
			}
			checkRoundTrip(t, c)
		})
	}
}

// values compares netip's values as Go does.
var values = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})

func parse(t *testing.T, src string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(src))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return c
}
