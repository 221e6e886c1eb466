package route_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

func TestPrefixIsRewritten(t *testing.T) {
	tests := []struct {
		name         string
		match        proxy.Match
		prefix       string
		target, want string
	}{
		{"with a rest", prefix("/api"), "/v2", "/api/x?q=1", "/v2/x?q=1"},
		{"without a rest", prefix("/api"), "/v2", "/api", "/v2"},
		{"slash stays", prefix("/api"), "/v2", "/api/", "/v2/"},
		{"taken away", prefix("/api"), "/", "/api/x", "/x"},
		{"taken away, all of it", prefix("/api"), "/", "/api", "/"},
		{"taken away, with a query", prefix("/api"), "/", "/api?x", "/?x"},
		{"replaced by nothing", prefix("/api"), "", "/api/x", "/x"},
		{"new one ends in a slash", prefix("/api"), "/v2/", "/api/x", "/v2/x"},
		{"old one ends in a slash", prefix("/api/"), "/v2", "/api/x", "/v2/x"},
		{"several segments", prefix("/a/b"), "/c/d/e", "/a/b/x/y", "/c/d/e/x/y"},
		{"the longest that matches", prefix("/a", "/a/b", "/"), "/v", "/a/b/c", "/v/c"},
		{"the slash as a prefix", prefix("/"), "/v2", "/x", "/v2/x"},
		{"no path is matched", host("h"), "/v2", "/x/y", "/v2/x/y"},
		{"no path is matched, root", host("h"), "/v2", "/", "/v2/"},
		{"exact", exact("/a"), "/v2", "/a", "/v2/a"},
		{"regex", regex("^/[ab]$"), "/v2", "/a", "/v2/a"},
		{"rest stays as it is spelt", prefix("/api"), "/v2", "/api/%61%2fb%2Fc;p=1/(x)?%61", "/v2/%61%2fb%2Fc;p=1/(x)?%61"},
		{"prefix in another spelling", prefix("/api"), "/v2", "/%61pi/%61", "/v2/%61"},
		{"parameters of the prefix", prefix("/app"), "/v2", "/app;jsessionid=1/x", "/v2;jsessionid=1/x"},
		{"parameters within the prefix", prefix("/a/b"), "/v2", "/a;x/b;y/c", "/v2;y/c"},
		{"parameters at the end", prefix("/app"), "/", "/app;x", "/;x"},
		{"empty segments stay", prefix("/s"), "/cgi", "/s/https://example.com/?x", "/cgi/https://example.com/?x"},
		{"empty segments in front of the rest stay", prefix("/api"), "/v2", "/api//x", "/v2//x"},
		{"empty segments before and in the prefix", prefix("/a/b"), "/v2", "//a///b/x", "/v2/x"},
		{"segments of parameters alone", prefix("/a/b"), "/v2", "/;p/a/;q/b;r/;s/x", "/v2;r/;s/x"},
		{"no host comes of empty segments", prefix("/api"), "/", "/api//evil.example/x", "/evil.example/x"},
		{"no host comes of the whole path", host("h"), "/", "//evil.example/x", "/evil.example/x"},
		{"a dot behind the prefix is not a segment", regex("^/api"), "/", "/api%2e/admin", "/api%2e/admin"},
		{"encoded slashes are not resolved", prefix("/foo"), "/new", "/foo/..%2Fadmin", "/new/..%2Fadmin"},
		{"dot segments do not lead out", prefix("/api"), "/internal", "/api/a/../x", "/internal/x"},
		{"encoded dot segments do not lead out", prefix("/api"), "/internal", "/a/%2e%2e/api/b/.%2e/x", "/internal/x"},
		{"dot segments with parameters do not lead out", prefix("/api"), "/internal", "/api/b/..;/x", "/internal/x"},
		{"asterisk", host("h"), "/v2", "*", "*"},
		{"characters that want encoding", prefix("/api"), "/ü", "/api/x", "/%C3%BC/x"},
		{"empty query", prefix("/api"), "/v2", "/api?", "/v2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := compile(t, proxy.Route{Match: tt.match, Rewrite: proxy.Rewrite{Prefix: tt.prefix, Replace: true}})
			path, query, _ := strings.Cut(tt.target, "?")
			r := &ask{"GET", "h", path, query, nil}
			if got := matched(table, r, client); got != 0 {
				t.Fatalf("%s takes route %d", tt.target, got)
			}
			if !table.Rewrites(0) {
				t.Error("the route does not rewrite")
			}
			if got := string(table.AppendTarget([]byte("GET "), 0, r)); got != "GET "+tt.want {
				t.Errorf("%s becomes %q, want %q", tt.target, got, "GET "+tt.want)
			}
		})
	}
}

func TestTargetStaysWithoutARewrite(t *testing.T) {
	table := compile(t, proxy.Route{Match: prefix("/a"), Rewrite: proxy.Rewrite{Prefix: "/b", Host: "b"}})
	if got := string(table.AppendTarget(nil, 0, get("h//a/../a?x"))); got != "//a/../a?x" || table.Rewrites(0) {
		t.Errorf("the target is %q", got)
	}
}

// Whatever the request, what is forwarded lies below the new prefix, as a server
// understands it, and what was below the old one is below the new one.
func TestRewritingStaysBelowThePrefix(t *testing.T) {
	table := compile(t, proxy.Route{Match: prefix("/a/b", "/a", "/c"), Rewrite: proxy.Rewrite{Prefix: "/new/place", Replace: true}})
	rapid.Check(t, func(t *rapid.T) {
		r, from := drawAsk(t)
		if matched(table, r, from) < 0 {
			t.Skip("no match")
		}
		r.query = ""
		got := string(table.AppendTarget(nil, 0, r))
		before, after := naivePath(r.path), naivePath(got)
		rest := ""
		for _, p := range []string{"/a/b", "/a", "/c"} {
			if left, ok := strings.CutPrefix(before, p); ok && (left == "" || left[0] == '/') {
				rest = left
				break
			}
		}
		if after != "/new/place"+rest || !strings.HasPrefix(got, "/new/place") {
			t.Fatalf("%s becomes %s, which is %s; want the rest %q", r.path, got, after, rest)
		}
	})
}
