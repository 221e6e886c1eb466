package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/proxy"
)

// FuzzParse checks that no input panics, that what is refused is refused with
// places in it, and that what is accepted survives being written out.
func FuzzParse(f *testing.F) {
	bad, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(bad, goodFiles(f)...) {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := config.Parse("fuzz.yaml", src)
		if err == nil {
			checkRoundTrip(t, c)
			return
		}
		var errs config.Errors
		if c != nil || !errors.As(err, &errs) || len(errs) == 0 {
			t.Fatalf("Parse = %v, %v; want no config, and Errors", c, err)
		}
		for i, e := range errs {
			if e.File != "fuzz.yaml" || e.Line < 1 || e.Column < 1 || e.Message == "" {
				t.Errorf("error without place or message: %#v", e)
			}
			if i > 0 && (e.Line < errs[i-1].Line || e.Line == errs[i-1].Line && e.Column < errs[i-1].Column) {
				t.Errorf("%d:%d is reported after %d:%d", e.Line, e.Column, errs[i-1].Line, errs[i-1].Column)
			}
			if lines := strings.Split(e.Excerpt, "\n"); len(lines) != 2 || !strings.Contains(lines[1], "^") {
				t.Errorf("excerpt %q has no line with carets", e.Excerpt)
			}
		}
	})
}

// FuzzValues puts texts where routes and pools have them: what is accepted of them must
// survive being written out, and be as it will be on the wire.
func FuzzValues(f *testing.F) {
	for _, s := range []string{
		"", "a", "A.example", "*.example.com", "/", "/a/", "/%61/%2F", "/caf%c3%a9", "^/x[0-9]+$", "true", "false", "null", "~", "0x10", "1e3", "2001-01-01", "- a", "a: b",
		"https://{host}{uri}", "/{path}?{query}", "line\nbreak\r\n", "\ttab", "\u0085\u2028\ufeff", "é", "\"q\"", "'", "#", " a", "a ", "a.b:80", "_http._tcp.a.b", "header x-a", "query a b",
	} {
		f.Add(s)
	}
	const pool = "pools: {p: {servers: 192.0.2.1:80}}\n"
	routes := func(route string) string {
		return pool + "listeners: {l: {bind: \":80\", routes: {" + route + "}}}\n"
	}
	places := []string{
		routes("match: {host: %s}, pool: p"), routes("match: {path: %s}, pool: p"), routes("match: {path: {exact: %s}}, pool: p"),
		routes("match: {path: {regex: %s}}, pool: p"), routes("match: {method: %s}, pool: p"), routes("match: {header: {x-a: %s}}, pool: p"),
		routes("match: {header: {%s: a}}, pool: p"), routes("match: {cookie: {a: %s}}, pool: p"), routes("match: {cookie: {%s: a}}, pool: p"),
		routes("match: {query: {a: %s}}, pool: p"), routes("match: {query: {%s: {exact: a}}}, pool: p"), routes("match: {client: %s}, pool: p"),
		routes("redirect: %s"), routes("respond: {status: 200, body: %s}"), routes("respond: {status: 200, body: a, content_type: %s}"),
		routes("pool: p, rewrite: {prefix: %s}"), routes("pool: p, rewrite: {host: %s}"),
		routes("pool: p, request_headers: {set: {x-a: %s}}"), routes("pool: p, response_headers: {add: {%s: [a, b]}}"), routes("pool: p, request_headers: {remove: %s}"),
		routes("pool: p, rate_limit: {requests: 1, by: %s}"),
		"pools: {p: {servers: %s}}\n", "pools: {p: {discover: {dns: %s}}}\n", "pools: {p: {servers: 192.0.2.1:80, sticky: {cookie: %s}}}\n",
		"pools: {p: {servers: 192.0.2.1:80, balance: consistent_hash, hash_on: %s}}\n", "pools: {p: {servers: 192.0.2.1:80, retry: {budget: %s}}}\n",
		"listeners: {l: {bind: \":443\", servers: 192.0.2.1:80, tls: %s}}\n", "listeners: {l: {bind: \":443\", servers: 192.0.2.1:80, tls: {cert: %s, client_ca: a}}}\n",
		"listeners: {l: {bind: \":443\", protocol: tcp, servers: 192.0.2.1:80, tls: {cert: a, alpn: %s}}}\n",
		"pools: {p: {servers: 192.0.2.1:80, tls: {server_name: %s}}}\n", "pools: {p: {servers: 192.0.2.1:80, tls: {ca: %s}}}\n",
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, place := range places {
			c, err := config.Parse("fuzz.yaml", fmt.Appendf(nil, place, strconv.Quote(s)))
			if err != nil {
				continue
			}
			checkRoundTrip(t, c)
			for _, l := range c.Proxy.Listeners {
				for _, r := range l.Routes {
					checkFields(t, r.RequestHeaders)
					checkFields(t, r.ResponseHeaders)
				}
			}
		}
	})
}

// checkFields checks that no edit could end a field, or begin another.
func checkFields(t *testing.T, e proxy.HeaderEdit) {
	t.Helper()
	for _, f := range slices.Concat(e.Set, e.Add) {
		if strings.ContainsFunc(f.Value, func(r rune) bool { return r < ' ' || r > '~' }) || strings.ContainsAny(f.Name, " :\r\n") || f.Name == "" {
			t.Errorf("the field %q: %q is accepted", f.Name, f.Value)
		}
	}
}
