package roster

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tandemlb/tandem/internal/config/source"
	"github.com/tandemlb/tandem/proxy"
)

// Verb is what an operator wants of a server.
type Verb string

// The verbs.
const (
	SetReady  Verb = "ready"
	SetDrain  Verb = "drain"
	SetMaint  Verb = "maint"
	SetWeight Verb = "weight"
	Add       Verb = "add"
	Remove    Verb = "remove"
)

// Change is one wish of an operator.
type Change struct {
	Pool   string `json:"pool"`
	Server string `json:"server"` // name or address; of Add, ADDRESS:PORT or NAME:PORT
	Verb   Verb   `json:"verb"`
	Weight int    `json:"weight,omitempty"` // of SetWeight, 0..1000
}

// ParseChange parses what is written on a command line: POOL/SERVER, and a verb
// or weight=N.
func ParseChange(target, verb string) (Change, error) {
	pool, server, ok := strings.Cut(target, "/")
	if !ok || pool == "" || server == "" {
		return Change{}, fmt.Errorf("%q does not name a server of a pool (as in web/192.0.2.21:8080)", target)
	}
	c := Change{Pool: pool, Server: server, Verb: Verb(verb)}
	if n, is := strings.CutPrefix(verb, "weight="); is {
		w, err := strconv.Atoi(n)
		if err != nil {
			return Change{}, fmt.Errorf("weight %q is not a number from 0 to %d", n, maxWeight)
		}
		c.Verb, c.Weight = SetWeight, w
	} else if c.Verb == SetWeight {
		return Change{}, fmt.Errorf("weight needs a number: weight=N, from 0 to %d", maxWeight)
	}
	return c, c.valid()
}

func (c Change) valid() error {
	switch c.Verb {
	case SetReady, SetDrain, SetMaint, Add, Remove:
	case SetWeight:
		if c.Weight < 0 || c.Weight > maxWeight {
			return fmt.Errorf("weight %d is not from 0 to %d", c.Weight, maxWeight)
		}
	default:
		return fmt.Errorf("unknown change %q%s", c.Verb, source.Instead(string(c.Verb), []string{"ready", "drain", "maint", "weight=N", "add", "remove"}))
	}
	return nil
}

// With returns the overlay after c. The spec is that of the config, the answers are
// what a server may have been discovered by.
func (o Overlay) With(c Change, spec proxy.Spec, answers map[string]Answer) (Overlay, error) {
	if err := c.valid(); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(spec.Pools, func(p proxy.Pool) bool { return p.Name == c.Pool })
	if i < 0 {
		var names []string
		for _, p := range spec.Pools {
			names = append(names, p.Name)
		}
		return nil, fmt.Errorf("unknown pool %q%s", c.Pool, source.Instead(c.Pool, names))
	}
	file := spec.Pools[i]
	if c.Verb == Add {
		var err error
		if c.Server, err = destination(c.Server); err != nil {
			return nil, err
		}
	}
	// What was said of a server by its name is taken back by its address.
	if s, there := inFile(file, c.Server); there && s.Host != c.Server {
		c.Server = s.Name
	}
	e, at := o.entry(c)
	if err := e.apply(c, known(file, answers, o, at)); err != nil {
		return nil, err
	}
	return o.put(at, e, file), nil
}

// entry returns the entry that c is about, and its place; a new one has none.
func (o Overlay) entry(c Change) (Entry, int) {
	i := slices.IndexFunc(o, func(e Entry) bool { return e.Pool == c.Pool && e.Server == c.Server })
	if i < 0 {
		return Entry{Pool: c.Pool, Server: c.Server}, -1
	}
	return o[i], i
}

// put returns a copy with e at its place, or without it if it says nothing that the
// config does not.
func (o Overlay) put(at int, e Entry, file proxy.Pool) Overlay {
	out := slices.Clone(o)
	e = e.beside(file)
	switch {
	case at < 0 && e.empty():
	case at < 0:
		out = append(out, e)
	case e.empty():
		out = slices.Delete(out, at, at+1)
	default:
		out[at] = e
	}
	return out
}

// known returns the words that name a server of the pool as it is without the entry
// at a place of the overlay.
func known(file proxy.Pool, answers map[string]Answer, o Overlay, without int) map[string]bool {
	if without >= 0 {
		o = slices.Delete(slices.Clone(o), without, without+1)
	}
	c := composer{answers: answers, overlay: o}
	words := make(map[string]bool)
	for _, s := range c.pool(file).Servers {
		words[s.Name], words[s.Address.String()] = true, true
	}
	removed := make(map[string]bool)
	for _, e := range o.of(file.Name) {
		removed[e.Server] = e.Removed
	}
	for _, s := range o.add(file) {
		if !removed[s.Name] {
			words[s.Name] = true // also without an answer
			if s.Host != "" {
				words[s.Host] = true
			}
		}
	}
	return words
}

// apply changes e; there are the servers without it.
func (e *Entry) apply(c Change, there map[string]bool) error {
	exists := there[c.Server] && !e.Removed || e.Added
	switch {
	case c.Verb == Add && exists:
		return fmt.Errorf("pool %q has the server %s already", c.Pool, c.Server)
	case c.Verb == Add && there[c.Server]:
		e.Removed = false // the config has it
		return nil
	case c.Verb == Add:
		e.Added = true
		return nil
	case !exists:
		return fmt.Errorf("pool %q has no server %q%s", c.Pool, c.Server, source.Instead(c.Server, sorted(there)))
	}
	switch c.Verb {
	case Remove:
		*e = Entry{Pool: e.Pool, Server: e.Server, Removed: !e.Added}
	case SetWeight:
		e.Weight = &c.Weight
	case SetReady:
		e.State = nil // the config has no other state to go back to
	case SetDrain, SetMaint:
		state := proxy.ServerState(c.Verb)
		e.State = &state
	}
	return nil
}

func sorted(words map[string]bool) []string {
	var all []string
	for w := range words {
		all = append(all, w)
	}
	slices.Sort(all)
	return all
}

// destination returns s, which is to be connected to, as it names the server.
func destination(s string) (string, error) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		if a.Port() == 0 || a.Addr().IsUnspecified() || a.Addr().IsMulticast() {
			return "", fmt.Errorf("%q is not an address to connect to", s)
		}
		return a.String(), nil
	}
	at := strings.LastIndexByte(s, ':')
	n, err := strconv.ParseUint(s[at+1:], 10, 16)
	name := s[:max(at, 0)]
	if err != nil || n == 0 || !hostname(name) {
		return "", fmt.Errorf("%q is neither ADDRESS:PORT nor NAME:PORT (as in 192.0.2.21:8080, web1.internal:8080)", s)
	}
	return strings.ToLower(name) + ":" + strconv.FormatUint(n, 10), nil
}

// hostname reports whether s is a name of letters, digits, hyphens and underscores
// in labels, and no mistaken address.
func hostname(s string) bool {
	if len(s) > 253 || strings.Trim(s, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
				return false
			}
		}
	}
	return true
}
