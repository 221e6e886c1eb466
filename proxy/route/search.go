package route

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/tandemlb/tandem/proxy"
)

// search is the state of one match.
type search struct {
	routes  []compiled
	request Request
	client  netip.Addr
	path    []byte // canonical
	best    int    // the first route that is known to match
}

// try reports whether it is in vain to go on to a later candidate of the same list,
// since this one matches, or is not before the best.
func (x *search) try(c candidate) bool {
	if int(c.route) >= x.best {
		return true
	}
	if c.conditional && !x.routes[c.route].hold(x) {
		return false
	}
	x.best = int(c.route)
	return true
}

// all tries the candidates of a list up to the first that matches.
func (x *search) all(list []candidate) {
	for _, c := range list {
		if x.try(c) {
			return
		}
	}
}

// site is the routes of a host by their paths.
type site struct {
	anyPath  bucket
	exact    map[string]bucket
	prefixes map[string]bucket // without a slash at the end
	depths   uint64            // which numbers of segments the prefixes have; the last bit is for all beyond
	deepest  int               // of the prefixes, in segments
	patterns []pattern
}

// pattern is a route whose path is compared by a regular expression.
type pattern struct {
	candidate
	regex *regexp.Regexp
}

func (s *site) add(c candidate, conditions *conditions, paths []pathEntry) {
	if len(paths) == 0 {
		s.anyPath.add(c, conditions)
	}
	for _, p := range paths {
		switch p.kind {
		case proxy.PathExact:
			s.exact = addTo(s.exact, p.value, c, conditions)
		case proxy.PathPrefix:
			s.prefixes = addTo(s.prefixes, p.value, c, conditions)
			depth := strings.Count(p.value, "/")
			s.depths |= 1 << min(depth, 63)
			s.deepest = max(s.deepest, depth)
		case proxy.PathRegex:
			s.patterns = append(s.patterns, pattern{c, p.regex})
		}
	}
}

func addTo(m map[string]bucket, path string, c candidate, conditions *conditions) map[string]bucket {
	if m == nil {
		m = map[string]bucket{}
	}
	b := m[path]
	b.add(c, conditions)
	m[path] = b
	return m
}

// find looks for a route of the site before x.best. Each list of candidates is in the
// order of the routes, so that the first that matches ends it; which list comes first
// matters only for what it costs.
func (s *site) find(x *search) {
	s.anyPath.find(x)
	if s.exact != nil {
		b := s.exact[string(x.path)]
		b.find(x)
	}
	if s.prefixes != nil && len(x.path) > 0 && x.path[0] == '/' {
		s.findPrefixes(x)
	}
	for _, p := range s.patterns {
		if int(p.route) >= x.best {
			return
		}
		if (!p.conditional || x.routes[p.route].hold(x)) && p.regex.Match(x.path) {
			x.best = int(p.route)
			return
		}
	}
}

// findPrefixes looks the path up by its first segments, as many as any prefix has.
func (s *site) findPrefixes(x *search) {
	for depth, end := 0, 0; ; depth++ {
		if s.depths>>min(depth, 63)&1 != 0 {
			b := s.prefixes[string(x.path[:end])]
			b.find(x)
		}
		if depth == s.deepest || end == len(x.path) {
			return
		}
		for end++; end < len(x.path) && x.path[end] != '/'; end++ {
		}
	}
}
