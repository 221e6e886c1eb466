package traffic

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/source"
	"github.com/tandemlb/tandem/proxy"
)

func (d *decoder) paths(f notation.Field) []proxy.PathMatch {
	var paths []proxy.PathMatch
	listed := make(map[string]bool)
	for _, e := range d.List(f, "path") {
		if p, ok := d.pathMatch(e); ok {
			d.once(listed, e, string(p.Kind)+" "+p.Value)
			paths = append(paths, p)
		}
	}
	return paths
}

// pathMatch returns the path of f: a text is a prefix.
func (d *decoder) pathMatch(f notation.Field) (proxy.PathMatch, bool) {
	const what = "a path such as /api, or a map with one of the keys prefix, exact and regex"
	kind, value := proxy.PathPrefix, f
	if f.Value.Kind == yaml.MappingNode {
		mark := d.Count()
		kinds := []string{string(proxy.PathPrefix), string(proxy.PathExact), string(proxy.PathRegex)}
		o := d.Object(f, kinds...)
		switch {
		case !d.OK(mark):
			return proxy.PathMatch{}, false
		case len(o) != 1:
			d.Invalid(f, "a path is of one kind: expected one of the keys %s", source.Enumerate(kinds, "and"))
			return proxy.PathMatch{}, false
		}
		for key, only := range o {
			kind, value = proxy.PathKind(key), only
		}
	}
	got, ok := d.Text(value, what)
	if !ok {
		return proxy.PathMatch{}, false
	}
	var err error
	switch kind {
	case proxy.PathRegex:
		err = checkRegex(got)
	case proxy.PathExact:
		got, err = parsePath(got)
	default:
		got, err = parsePrefix(got)
	}
	if err != nil {
		d.Invalid(value, "%s", err)
	}
	return proxy.PathMatch{Kind: kind, Value: got}, err == nil
}

// maxPath bounds the paths of the file; a longer one is no path that anybody typed.
const maxPath = 1024

// parsePath parses a path without query, and returns it in the form in which the paths
// of requests are matched: what need not be encoded is not, and what must be is in
// upper case (RFC 3986, section 6.2.2). Of empty and dot segments, and of parameters,
// that form has none.
func parsePath(s string) (string, error) {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "", fmt.Errorf("%q is not a path: it begins with /", s)
	case len(s) > maxPath:
		return "", fmt.Errorf("the path has %d bytes, at most %d are possible", len(s), maxPath)
	case strings.Contains(s, "?"):
		return "", fmt.Errorf("%q has a query: a path ends before the ?", s)
	case strings.Contains(s, ";"):
		return "", fmt.Errorf("%q has parameters: paths are matched without what follows a semicolon", s)
	}
	path, err := canonical(s)
	if err != nil {
		return "", err
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments[1:] {
		switch {
		case segment == "." || segment == "..":
			return "", fmt.Errorf("the path %q holds %q: write the path that it leads to", s, segment)
		case segment == "" && i < len(segments)-2:
			return "", fmt.Errorf("the path %q holds two slashes in a row: paths are matched as if they were one", s)
		}
	}
	return path, nil
}

// parsePrefix parses a path of which whole segments are compared, so that a slash at
// its end makes no difference.
func parsePrefix(s string) (string, error) {
	path, err := parsePath(s)
	if path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	return path, err
}

// canonical returns s with what is percent-encoded in it as short as it can be.
func canonical(s string) (string, error) {
	const bare = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,=:@"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '%' {
			if c != '/' && !strings.ContainsRune(bare, rune(c)) {
				return "", fmt.Errorf("the path %q holds a character that has to be percent-encoded", s)
			}
			b.WriteByte(c)
			continue
		}
		v, err := strconv.ParseUint(s[i+1:min(i+3, len(s))], 16, 8)
		if err != nil || i+3 > len(s) {
			return "", fmt.Errorf("the path %q has a bad percent-encoding", s)
		}
		if i += 2; strings.ContainsRune(bare, rune(v)) {
			b.WriteByte(byte(v))
		} else {
			fmt.Fprintf(&b, "%%%02X", v)
		}
	}
	return b.String(), nil
}

func checkRegex(s string) error {
	if len(s) > maxPath {
		return fmt.Errorf("the expression has %d bytes, at most %d are possible", len(s), maxPath)
	}
	if _, err := regexp.Compile(s); err != nil {
		return fmt.Errorf("%q is not a regular expression: %s", s, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}
