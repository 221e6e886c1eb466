package traffic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/source"
	"github.com/tandemlb/tandem/proxy"
)

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// maxToken bounds the names of fields and cookies: nobody has a longer one.
const maxToken = 128

// token returns the token of f, which is what.
func (d *decoder) token(f notation.Field, what string) string {
	if !f.Set() {
		return ""
	}
	got, ok := d.Text(f, what)
	if ok && (!isToken(got) || len(got) > maxToken) {
		d.Invalid(f, "%q is not %s: use 1 to %d letters, digits and -", got, what, maxToken)
	}
	return got
}

// keyForms are the ways to write the kinds of key.
var keyForms = map[proxy.KeyKind]string{
	proxy.KeyClient: "client", proxy.KeyHeader: "header NAME", proxy.KeyCookie: "cookie NAME",
	proxy.KeyQuery: "query NAME", proxy.KeyPath: "path", proxy.KeyListener: "listener",
}

// key returns what of a request f names, which is one of kinds.
func (d *decoder) key(f notation.Field, kinds ...proxy.KeyKind) proxy.Key {
	var forms, words []string
	for _, kind := range kinds {
		forms = append(forms, keyForms[kind])
		words = append(words, string(kind))
	}
	what := source.Enumerate(forms, "or")
	got, ok := d.Text(f, what)
	if !ok {
		return proxy.Key{}
	}
	word, name, named := strings.Cut(got, " ")
	kind := proxy.KeyKind(word)
	wantName := strings.Contains(keyForms[kind], " ")
	switch {
	case !slices.Contains(kinds, kind):
		d.Invalid(f, "expected %s, found %q%s", what, got, source.Suggestion(word, words))
		return proxy.Key{}
	case wantName != named:
		d.Invalid(f, "expected %s, found %q", keyForms[kind], got)
		return proxy.Key{}
	}
	var err error
	switch kind {
	case proxy.KeyHeader:
		name, err = parseFieldName(name)
	case proxy.KeyCookie:
		err = checkCookieName(name)
	case proxy.KeyQuery:
		err = checkParameter(name)
	}
	if err != nil {
		d.Invalid(f, "%s", err)
	}
	return proxy.Key{Kind: kind, Name: name}
}

func formatKey(k proxy.Key) string {
	if k.Name == "" {
		return string(k.Kind)
	}
	return string(k.Kind) + " " + k.Name
}

// parseFieldName returns the name of a header field in lower case: names are the
// same in any (RFC 9110, section 5.1).
func parseFieldName(s string) (string, error) {
	if !isToken(s) || len(s) > maxToken {
		return "", fmt.Errorf("%q is not the name of a header field: use 1 to %d letters, digits and -", s, maxToken)
	}
	return strings.ToLower(s), nil
}

// checkCookieName says why no cookie has the name s (RFC 6265, section 4.1.1).
func checkCookieName(s string) error {
	if !isToken(s) || len(s) > maxToken {
		return fmt.Errorf("%q is not the name of a cookie: use 1 to %d letters, digits and -", s, maxToken)
	}
	return nil
}

// checkParameter says why s is not to be the name of a parameter of a query, as it
// reads when it is decoded.
func checkParameter(s string) error {
	if s == "" || len(s) > maxToken || hasControl(s) || strings.TrimSpace(s) != s {
		return fmt.Errorf("%q is not the name of a query parameter: use 1 to %d characters, as they read when they are decoded", s, maxToken)
	}
	return nil
}
