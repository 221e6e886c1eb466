package web

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseLoaded(t *testing.T) {
	const out = `Running 1s test @ http://127.0.0.1:8080/small
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.30ms  304.35us   4.35ms   77.73%
Requests/sec:  48967.46
{"requests": 53896, "microseconds": 1100609, "p50": 1250, "p99": 2362, "errors": 3}
`
	got, err := parseLoaded(out)
	if err != nil {
		t.Fatal(err)
	}
	want := Loaded{Requests: 53896, Microseconds: 1100609, P50: 1250, P99: 2362, Errors: 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for name, bad := range map[string]string{
		"no report":  "Running 1s test\n",
		"no JSON":    "{requests}\n",
		"no request": `{"requests": 0, "microseconds": 1100609}`,
		"no time":    `{"requests": 1, "microseconds": 0}`,
	} {
		if got, err := parseLoaded(bad); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
}

func TestScripts(t *testing.T) {
	const done = "done = function(summary, latency)"
	for _, test := range []struct {
		name string
		load Load
		want []string
	}{
		{"plain", Load{Path: Small}, nil},
		{"close", Load{Path: Small, Close: true}, []string{"wrk.headers['Connection'] = 'close'"}},
		{"post", Load{Path: Small, Post: true}, []string{"wrk.method = 'POST'", "wrk.body = string.rep('x', 16384)"}},
		{"chunked", Load{Path: Pieces, Post: true, Chunked: true}, []string{
			`string.format('%x\r\n', 4096)`, `'POST /pieces HTTP/1.1\r\nHost: bench\r\nTransfer-Encoding: chunked\r\n\r\n'`,
			"string.rep(chunk, 4)", "request = function() return text end",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			script := test.load.script()
			for _, want := range append(test.want, done) {
				if !strings.Contains(script, want) {
					t.Errorf("no %q in:\n%s", want, script)
				}
			}
			if test.want == nil && !strings.HasPrefix(script, done) {
				t.Errorf("more than %q in:\n%s", done, script)
			}
		})
	}
}
