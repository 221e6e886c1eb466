package route_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/route"
)

func TestLocation(t *testing.T) {
	tests := []struct {
		name, to, url, want string
	}{
		{"text alone", "https://example.com/new?x#y", "h/a?b", "https://example.com/new?x#y"},
		{"to TLS", "https://{host}{uri}", "h/a?b=c", "https://h/a?b=c"},
		{"no query", "https://{host}{uri}", "h/a", "https://h/a"},
		{"empty query", "https://{host}{uri}", "h/a?", "https://h/a"},
		{"port", "https://{host}:8443{path}", "h/a?b", "https://h:8443/a"},
		{"IPv6", "https://{host}{path}", "[2001:db8::1]/a", "https://[2001:db8::1]/a"},
		{"another host", "https://www.{host}{uri}", "h/", "https://www.h/"},
		{"path below another", "/new{uri}", "h/a/b?c", "/new/a/b?c"},
		{"slash is not doubled", "https://example.com/new/{path}", "h/a", "https://example.com/new/a"},
		{"slash of the root is not doubled", "https://example.com/{uri}", "h/?x", "https://example.com/?x"},
		{"query alone", "/search?{query}", "h/a?q=1&r=%20", "/search?q=1&r=%20"},
		{"path as a value", "/login?next={path}", "h/a&admin=1", "/login?next=/a%26admin%3D1"},
		{"target as a value", "/login?next={uri}", "h/a?b=c&d=%20+", "/login?next=/a%3Fb%3Dc%26d%3D%2520%2B"},
		{"host as a value", "/login?h={host}", "h/", "/login?h=h"},
		{"slash of a value is not doubled", "/login?next=/{path}", "h/a", "/login?next=/a"},
		{"encoded path stays encoded", "/x{path}", "h/%2f%61%C3%BC", "/x/%2f%61%C3%BC"},
		{"characters that browsers send bare", `/x{uri}`, `h/a|b^c?d"e[f]`, "/x/a%7Cb%5Ec?d%22e%5Bf%5D"},
		{"half an encoding", "/x{uri}", "h/%2?%", "/x/%252?%25"},
		{"other braces stay text", "/{a}{", "h/", "/%7Ba%7D%7B"},
		{"text that wants encoding", "/ü a", "h/", "/%C3%BC%20a"},
		{"H10 line end in a path", "/x{path}", "h/a\r\nSet-Cookie: b", "/x/a%0D%0ASet-Cookie:%20b"},
		{"H10 line end in a query", "/x?{query}", "h/?\r\n\x00\x7f", "/x?%0D%0A%00%7F"},
		{"H10 line end in a host", "https://{host}/", "a\r\nb/", "https://a%0D%0Ab/"},
		{"H10 line end in the text", "/a\r\nb", "h/", "/a%0D%0Ab"},
		{"host with a user", "https://{host}/", "a@evil.example/", "https://a%40evil.example/"},
		{"path like a host", "/{path}", "h//evil.example/x", "/%2Fevil.example/x"},
		{"path like a host, further slashes", "/{path}", "h////evil.example", "/%2F//evil.example"},
		{"path like a host for browsers", `/{path}`, `h/\evil.example`, "/%5Cevil.example"},
		{"query like a host", "/{query}", "h/?/evil.example", "/%2Fevil.example"},
		{"path like a host behind a host", "https://{host}{path}", "h//evil.example", "https://h//evil.example"},
		{"path like a user", "https://example.com{path}", "h/@evil.example", "https://example.com/@evil.example"},
		{"no path", "https://example.com{path}", "h", "https://example.com/"},
		{"asterisk", "https://example.com{path}", "h*", "https://example.com/*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := get(tt.url)
			if tt.url == "h*" {
				r = &ask{"OPTIONS", "h", "*", "", nil}
			}
			to := &proxy.Redirect{To: tt.to, Status: 308}
			if _, err := route.New([]proxy.Route{{Redirect: to}}); err != nil {
				t.Fatal(err)
			}
			got, ok := route.AppendLocation([]byte("to/"), to, r)
			if string(got) != "to/"+tt.want || !ok {
				t.Errorf("location is %q, %v; want %q", got, ok, "to/"+tt.want)
			}
		})
	}
}

func TestNoLocationWithoutAHost(t *testing.T) {
	got, ok := route.AppendLocation([]byte("before"), &proxy.Redirect{To: "https://{host}{uri}"}, get("/evil.example/"))
	if string(got) != "before" || ok {
		t.Errorf("location is %q, %v", got, ok)
	}
}

// A Location stays on the host that the redirect names, for whoever reads it by the
// rules, and for browsers, to which a backslash is a slash.
func FuzzLocation(f *testing.F) {
	tos := []string{"/{path}", "{host}", "https://{host}{uri}", "https://example.com/{uri}", "/x?next={uri}&q={query}", "/{query}", "http://{host}:81/{path}{path}?{query}{uri}"}
	for i := range tos {
		for _, path := range []string{"/", "//evil.example", "/\\evil.example", "/\r\nX: y", "*", "/%2f/%", "/a?b", "/#"} {
			f.Add(uint8(i), "h", path, "a=b&c=%20+\r\n")
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, host, path, query string) {
		to := tos[int(i)%len(tos)]
		if _, err := route.New([]proxy.Route{{Redirect: &proxy.Redirect{To: to}}}); err != nil {
			return
		}
		host = strings.Trim(host, ".")
		out, ok := route.AppendLocation(nil, &proxy.Redirect{To: to}, &ask{"GET", host, path, query, nil})
		if !ok {
			if host != "" {
				t.Fatalf("no location for host %q", host)
			}
			return
		}
		got := string(out)
		if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r) }) {
			t.Fatalf("location %q has a character that is not of a URI", got)
		}
		if strings.ContainsAny(host, "%[]:") || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return // no host that a request can have, or an address
		}
		base := &url.URL{Scheme: "https", Host: "base.example"}
		u, err := base.Parse(got)
		if err != nil {
			// Hosts that a request cannot have make URLs that nobody follows.
			if strings.ContainsAny(host, "!\"#$&'()*+,/;<=>?@\\^`{|}") {
				return
			}
			t.Fatalf("location %q: %v", got, err)
		}
		want := base.Host
		switch {
		case strings.Contains(to, "{host}:81"):
			want = host + ":81"
		case strings.Contains(to, "//{host}"):
			want = host
		case strings.Contains(to, "example.com"):
			want = "example.com"
		}
		if u.Host != want {
			t.Fatalf("location %q leads to host %q, want %q", got, u.Host, want)
		}
		if strings.Contains(to, "next=") {
			whole := path
			if !strings.HasPrefix(whole, "/") {
				whole = "/" + whole
			}
			if query != "" {
				whole += "?" + query
			}
			if values, _ := url.ParseQuery(u.RawQuery); values.Get("next") != whole {
				t.Fatalf("location %q gives back %q, want %q", got, values.Get("next"), whole)
			}
		}
	})
}
