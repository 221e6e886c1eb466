package traffic

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPathsHaveOneForm(t *testing.T) {
	tests := []struct{ in, exact, prefix string }{
		{"/", "/", "/"},
		{"/a", "/a", "/a"},
		{"/a/", "/a/", "/a"},
		{"/%61%7e", "/a~", "/a~"},
		{"/caf%c3%a9", "/caf%C3%A9", "/caf%C3%A9"},
		{"/a%2fb", "/a%2Fb", "/a%2Fb"},
		{"/%21%24", "/!$", "/!$"},
		{"/a.b/..c", "/a.b/..c", "/a.b/..c"},
	}
	for _, tt := range tests {
		exact, err := parsePath(tt.in)
		if err != nil || exact != tt.exact {
			t.Errorf("parsePath(%q) = %q, %v; want %q", tt.in, exact, err, tt.exact)
		}
		prefix, err := parsePrefix(tt.in)
		if err != nil || prefix != tt.prefix {
			t.Errorf("parsePrefix(%q) = %q, %v; want %q", tt.in, prefix, err, tt.prefix)
		}
	}
}

// What is in the one form already stays as it is.
func TestOneFormOfPathsIsStable(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		s := "/" + rapid.StringMatching(`([ab./~!]|%2[fFeE5]|%5b|%6[12]|%C3%a9){0,8}`).Draw(t, "path")
		for _, parse := range []func(string) (string, error){parsePath, parsePrefix} {
			once, err := parse(s)
			if err != nil {
				continue
			}
			accepted++
			if twice, err := parse(once); err != nil || twice != once {
				t.Fatalf("%q is kept as %q, and that as %q, %v", s, once, twice, err)
			}
			if strings.Contains(once, "//") || strings.Contains(once+"/", "/../") || strings.Contains(once+"/", "/./") {
				t.Fatalf("%q is kept as %q, which no request has", s, once)
			}
		}
	})
	if accepted == 0 {
		t.Error("no path was accepted")
	}
}

func TestHostPatterns(t *testing.T) {
	for in, want := range map[string]string{
		"Example.COM": "example.com", "*.Example.com": "*.example.com", "a_b.example": "a_b.example", "*.com": "*.com", "192.0.2.1": "192.0.2.1", "localhost": "localhost",
	} {
		if got, err := parseHostPattern(in); err != nil || got != want {
			t.Errorf("parseHostPattern(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "*", "*.", "*.*.a", "a*", "a..b", ".a", "a.", "-a.b", "a-.b", "a b", "a/b", "a:80", "[::1]", "é.example", strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 127) + "a",
	} {
		if got, err := parseHostPattern(in); err == nil {
			t.Errorf("parseHostPattern(%q) = %q, want an error", in, got)
		}
	}
}

func TestRedirectTargets(t *testing.T) {
	for _, in := range []string{
		"/", "/a", "/{path}/", "/new{uri}", "/login?next={uri}", "/a?{query}", "https://a.example", "https://{host}{uri}", "http://{host}:8080{path}?{query}",
		"https://www.{host}/", "https://[2001:db8::1]:443/a", "/a#b", "/{host}/{path}",
	} {
		if err := checkTarget(in); err != nil {
			t.Errorf("checkTarget(%q) = %v", in, err)
		}
	}
	for _, in := range []string{
		"", "a", "//a", "{host}/a", "{uri}", "/{path}?{query}", "https://", "https:///a", "https://{path}", "https://{query}", "https://{query}.example/", "https://a{query}",
		"https://{uri}.example", "javascript:alert(1)", "data:a", "/a\nb", "/a{", "/{hos}", "/a}b{", "https://a@b/", "HTTPS://a/",
	} {
		if err := checkTarget(in); err == nil {
			t.Errorf("checkTarget(%q) accepts it", in)
		}
	}
}
