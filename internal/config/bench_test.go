package config_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/config"
)

// largeFile returns a file of so many routes, over a hundred hosts, and so many
// servers, a hundred to a pool.
func largeFile(routes, servers int) []byte {
	const perPool, hosts = 100, 100
	pools := servers / perPool
	var b strings.Builder
	b.WriteString("listeners:\n  web:\n    bind: \":80\"\n    routes:\n")
	for i := range routes {
		fmt.Fprintf(&b, "      - {match: {host: h%d.example.com, path: /v1/tenants/%d/things}, pool: p%d}\n", i%hosts, i, i%pools)
	}
	b.WriteString("pools:\n")
	for i := range pools {
		fmt.Fprintf(&b, "  p%d:\n    check: GET /healthz\n    servers:\n", i)
		for j := range perPool {
			fmt.Fprintf(&b, "      - {address: 10.1.%d.%d:8080, weight: 2}\n", i, j+1)
		}
	}
	return []byte(b.String())
}

func TestLargeFile(t *testing.T) {
	const routes = 10_000
	c := parse(t, string(largeFile(routes, 1_000)))
	if n := len(c.Proxy.Listeners[0].Routes); n != routes {
		t.Errorf("%d routes, want %d", n, routes)
	}
	servers := 0
	for _, p := range c.Proxy.Pools {
		servers += len(p.Servers)
	}
	if servers != 1_000 {
		t.Errorf("%d servers, want 1000", servers)
	}
	again := parse(t, string(c.Effective()))
	if !reflect.DeepEqual(c, again) {
		t.Error("the config differs after a round trip")
	}
}

func BenchmarkParse(b *testing.B) {
	src := largeFile(10_000, 1_000)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := config.Parse("bench.yaml", src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	c, err := config.Parse("bench.yaml", largeFile(10_000, 1_000))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c.Hash()
	}
}
