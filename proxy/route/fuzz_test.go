package route_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/route"
)

// canonicalOf returns the form in which a path is matched.
func canonicalOf(path string) string {
	out, _ := route.AppendKey(nil, proxy.Key{Kind: proxy.KeyPath}, &ask{path: path}, client)
	return string(out)
}

func FuzzCanonicalPath(f *testing.F) {
	for _, path := range []string{"", "*", "/", "/a/b", "/a//b/", "/./a/../..", "/..;x/%2e%2E/", "/%61%2f%zz%", "/a|b c\x00\xff", "/;", "a/../b", "/...", "/.a/..b/c..", "/%C3%bc"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := canonicalOf(path)
		if want := naivePath(path); got != want {
			t.Fatalf("path %q is matched as %q, want %q", path, got, want)
		}
		if again := canonicalOf(got); again != got {
			t.Fatalf("path %q is matched as %q, and that as %q", path, got, again)
		}
		for segment := range strings.SplitSeq(got, "/") {
			if strings.HasPrefix(path, "/") && (segment == "." || segment == "..") || strings.Contains(segment, ";") {
				t.Fatalf("path %q is matched as %q", path, got)
			}
		}
		// The table must take the same path for the same, whichever way it finds that out.
		if strings.HasPrefix(path, "/") && !strings.Contains(path, ";") {
			table := compile(t, matching(exact(got))...)
			if matched(table, &ask{path: path}, client) != 0 || matched(table, &ask{path: got}, client) != 0 {
				t.Fatalf("path %q is not matched as %q", path, got)
			}
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, query := range []string{"", "a=b", "a=b&a=c", "a", "=", "&&", "%61=%62+c", "a=%2", "a=%zz&b", "a=b=c", "a;b=c", "+=%20"} {
		f.Add(query, "a")
	}
	f.Fuzz(func(t *testing.T, query, name string) {
		if strings.Contains(query, ";") || strings.Contains(strings.ReplaceAll(query, "%25", ""), "%") && !wellEncoded(query) || name == "" {
			return // net/url drops such parameters; no name is none that can be asked for
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Skip(err)
		}
		want := values[name]
		got, ok := route.AppendParameter([]byte("x"), []byte(query), url.QueryEscape(name))
		if ok != (len(want) > 0) || ok && string(got) != "x"+want[0] || !ok && string(got) != "x" {
			t.Fatalf("parameter %q of %q is %q, %v; want %q", name, query, got, ok, want)
		}
		for _, v := range want {
			table := compile(t, matching(proxy.Match{Queries: []proxy.ValueMatch{{Name: url.QueryEscape(name), Value: v}}})...)
			if matched(table, &ask{query: query}, client) != 0 {
				t.Fatalf("parameter %q of %q does not match %q", name, query, v)
			}
			table = compile(t, matching(proxy.Match{Queries: []proxy.ValueMatch{{Name: url.QueryEscape(name), Value: strings.Join(want, "") + "+"}}})...)
			if matched(table, &ask{query: query}, client) == 0 {
				t.Fatalf("parameter %q of %q matches what it is not", name, query)
			}
		}
	})
}

func wellEncoded(s string) bool {
	_, err := url.QueryUnescape(s)
	return err == nil
}

func FuzzCookie(f *testing.F) {
	for _, field := range []string{"", "a=b", "a=b; a=c", "a", "=b", ";;", `a="b"`, `a="b`, `a=""`, " a = b ;c=d", "a=b=c", "a\t=\tb"} {
		f.Add(field, "a")
	}
	f.Fuzz(func(t *testing.T, field, name string) {
		got, ok := route.Cookie(&ask{fields: []string{"cookie", field}}, name)
		table := compile(t, matching(proxy.Match{Cookies: []proxy.ValueMatch{{Name: name, Value: string(got)}}})...)
		if m := matched(table, &ask{fields: []string{"x", "", "cookie", field}}, client); ok != (m == 0) {
			t.Fatalf("cookie %q of %q is %q, %v; but a route that asks for it: %d", name, field, got, ok, m)
		}
		// What net/http takes for a cookie is one, with the same value; but that it gives
		// a name to what has none, and keeps white space behind the equals sign.
		for pair := range strings.SplitSeq(field, ";") {
			if _, value, equals := strings.Cut(pair, "="); !equals || strings.HasPrefix(value, " ") {
				return
			}
		}
		for _, c := range (&http.Request{Header: http.Header{"Cookie": {field}}}).Cookies() {
			if c.Name != name || strings.ContainsFunc(field, func(r rune) bool { return r < ' ' || r > '~' }) {
				continue
			}
			table := compile(t, matching(proxy.Match{Cookies: []proxy.ValueMatch{{Name: name, Value: c.Value}}})...)
			if matched(table, &ask{fields: []string{"cookie", field}}, client) != 0 {
				t.Fatalf("cookie %q of %q is not %q", name, field, c.Value)
			}
		}
	})
}

// A target that is rewritten lies below the new prefix, however the path is spelt, and
// has no more than one slash at its start.
func FuzzTarget(f *testing.F) {
	for _, path := range []string{"/a", "/a/b", "//a//b", "/a;x/b;y/c;z", "/x/../a/b/.", "/%61/%2e%2e/a/b/;/", "/a/b/..;/c", "/a/b//evil.example", "/a/b/%zz%", "/a/b/|/\xff"} {
		for i := range uint8(3) {
			f.Add(path, "q=1", i)
		}
	}
	f.Fuzz(func(t *testing.T, path, query string, i uint8) {
		to := []string{"/", "/new", "/new/"}[i%3]
		table := compile(t, proxy.Route{Match: prefix("/a/b"), Rewrite: proxy.Rewrite{Prefix: to, Replace: true}})
		r := &ask{path: path, query: query}
		if strings.Contains(path, "?") {
			return // no path
		}
		if matched(table, r, client) != 0 {
			return
		}
		got := string(table.AppendTarget(nil, 0, r))
		got, gotQuery, _ := strings.Cut(got, "?"+query)
		if query == "" {
			got, gotQuery = got+gotQuery, ""
		}
		if strings.HasPrefix(got, "//") || !strings.HasPrefix(got, to) || gotQuery != "" {
			t.Fatalf("path %q becomes %q, and %q", path, got, gotQuery)
		}
		rest := strings.TrimPrefix(naivePath(path), "/a/b")
		want := strings.TrimSuffix(to, "/") + rest
		if want == "" || rest == "" {
			want = to
		}
		if naivePath(got) != want {
			t.Fatalf("path %q becomes %q, which is %q; want %q", path, got, naivePath(got), want)
		}
	})
}
