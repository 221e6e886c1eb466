package route

import (
	"bytes"
	"fmt"
	"math/bits"
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"github.com/tandemlb/tandem/proxy"
)

// A Table is the routes of a listener, compiled. Multiple goroutines may use it at the
// same time. The routes that it was made from must not change.
type Table struct {
	routes []compiled

	hosts     map[string]*site // by exact name
	wildcards map[string]*site // by what follows the star, from its dot
	longest   int              // of the wildcards
	anyHost   *site

	scratch sync.Pool // of *[]byte, for paths that are not canonical
}

// compiled is a route.
type compiled struct {
	conditions
	weights []uint64 // of its split, summed up
	prefix  []byte   // of the rewrite, which begins with one slash; nil if there is none
	matched []string // the prefixes that are rewritten, canonical, without a slash at the end
}

// New compiles routes. An error names the route by its index, from 0.
func New(routes []proxy.Route) (*Table, error) {
	t := &Table{
		routes: make([]compiled, len(routes)), hosts: map[string]*site{}, wildcards: map[string]*site{}, anyHost: &site{},
		scratch: sync.Pool{New: func() any { return new([]byte) }},
	}
	for i := range routes {
		if err := t.add(i, &routes[i]); err != nil {
			return nil, fmt.Errorf("compile route %d: %w", i, err)
		}
	}
	return t, nil
}

func (t *Table) add(i int, r *proxy.Route) error {
	c := &t.routes[i]
	c.conditions = newConditions(&r.Match)
	sum := uint64(0)
	for _, s := range r.Split {
		sum += uint64(max(s.Weight, 0))
		c.weights = append(c.weights, sum)
	}
	if r.Redirect != nil {
		if err := checkRedirect(r.Redirect.To); err != nil {
			return err
		}
	}
	if r.Rewrite.Replace {
		c.prefix = appendURI([]byte("/"), strings.TrimLeft(r.Rewrite.Prefix, "/"), isPath)
	}
	paths := make([]pathEntry, 0, len(r.Match.Paths))
	for _, m := range r.Match.Paths {
		p, err := newPathEntry(m)
		if err != nil {
			return err
		}
		paths = append(paths, p)
		if p.kind == proxy.PathPrefix && c.prefix != nil {
			c.matched = append(c.matched, p.value)
		}
	}
	as := candidate{int32(i), !c.none}
	if len(r.Match.Hosts) == 0 {
		t.anyHost.add(as, &c.conditions, paths)
	}
	for _, host := range r.Match.Hosts {
		s, err := t.site(host)
		if err != nil {
			return err
		}
		s.add(as, &c.conditions, paths)
	}
	return nil
}

// site returns what belongs to host, which is exact or a wildcard.
func (t *Table) site(host string) (*site, error) {
	name, sites := host, t.hosts
	if strings.HasPrefix(host, "*.") {
		name, sites = host[1:], t.wildcards
		t.longest = max(t.longest, len(name))
	}
	name = strings.TrimSuffix(name, ".")
	if name == "" || strings.Contains(name, "*") {
		return nil, fmt.Errorf("host %q: a star stands for whole labels at the front, as in *.example.com", host)
	}
	s := sites[name]
	if s == nil {
		s = &site{}
		sites[name] = s
	}
	return s, nil
}

// pathEntry is one way in which a path may match.
type pathEntry struct {
	kind  proxy.PathKind
	value string         // canonical; of a prefix without a slash at the end
	regex *regexp.Regexp // of PathRegex
}

func newPathEntry(m proxy.PathMatch) (p pathEntry, err error) {
	p.kind = m.Kind
	switch m.Kind {
	case proxy.PathRegex:
		if p.regex, err = regexp.Compile(m.Value); err != nil {
			return p, fmt.Errorf("path regex %q: %w", m.Value, err)
		}
	case proxy.PathExact, proxy.PathPrefix:
		if !strings.HasPrefix(m.Value, "/") {
			return p, fmt.Errorf("path %q: it must begin with a slash", m.Value)
		}
		if strings.Contains(m.Value, ";") {
			return p, fmt.Errorf("path %q: parameters behind a semicolon do not count when paths are compared", m.Value)
		}
		p.value = string(appendCanonical(nil, []byte(m.Value)))
		if m.Kind == proxy.PathPrefix {
			p.value = strings.TrimSuffix(p.value, "/")
		}
	default:
		return p, fmt.Errorf("path %q: unknown kind %q (known: %s, %s, %s)", m.Value, m.Kind, proxy.PathPrefix, proxy.PathExact, proxy.PathRegex)
	}
	return p, nil
}

// Match returns the index of the first route that r, of client, matches. An address
// that is not valid is in no network.
func (t *Table) Match(r Request, client netip.Addr) (index int, ok bool) {
	s := search{routes: t.routes, request: r, client: client.Unmap().WithZone(""), path: r.Path(), best: len(t.routes)}
	if canonical(s.path) {
		t.find(&s)
		return s.best, s.best < len(t.routes)
	}
	scratch := t.scratch.Get().(*[]byte)
	*scratch = appendCanonical((*scratch)[:0], s.path)
	s.path = *scratch
	t.find(&s)
	t.scratch.Put(scratch)
	return s.best, s.best < len(t.routes)
}

// find looks at all that the host of a request belongs to.
func (t *Table) find(s *search) {
	host := s.request.Host()
	// A name with a dot at the end is the same, just not relative (RFC 1034, section
	// 3.1). It must not lead around the routes of the host.
	host = bytes.TrimSuffix(host, []byte("."))
	if found := t.hosts[string(host)]; found != nil {
		found.find(s)
	}
	if len(t.wildcards) > 0 {
		for i := max(1, len(host)-t.longest); i < len(host); i++ {
			if host[i] != '.' {
				continue
			}
			if found := t.wildcards[string(host[i:])]; found != nil {
				found.find(s)
			}
		}
	}
	t.anyHost.find(s)
}

// Share returns which of the split of a route a request takes, by weight. random is
// evenly distributed. The index is that of a route with a split.
func (t *Table) Share(index int, random uint64) int {
	sums := t.routes[index].weights
	if len(sums) < 2 {
		return 0
	}
	at, _ := bits.Mul64(random, sums[len(sums)-1])
	for i, sum := range sums {
		if at < sum {
			return i
		}
	}
	return 0 // all weights are 0, which the config refuses
}
