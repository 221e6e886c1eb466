package route

import (
	"slices"

	"github.com/tandemlb/tandem/proxy"
)

// candidate is a route that may match.
type candidate struct {
	route       int32
	conditional bool // by more than host and path
}

// bucket is routes of the same host and path, in their order. Nearly all have a single
// one, which is held in place: to look it up must touch little memory, since with ten
// thousand routes that is what takes time.
type bucket struct {
	first candidate
	used  bool // there is a first
	more  *more
}

// more is the routes of a bucket behind its first. Those that ask for a certain value
// of a field, a cookie or a parameter are found by it, since tenants are told apart
// that way, and there may be many; the others are tried in turn.
type more struct {
	plain  []candidate
	values []byValue
}

// byValue finds routes by the value of what key names, of which they ask for one.
type byValue struct {
	key    proxy.Key
	routes map[string][]candidate
}

// longestParameter is how long the values of parameters are that routes are found by:
// they are decoded first, for which there must be room.
const longestParameter = 128

func (b *bucket) add(c candidate, conditions *conditions) {
	if !b.used {
		b.first, b.used = c, true
		return
	}
	if b.more == nil {
		b.more = &more{}
	}
	b.more.add(c, conditions)
}

func (m *more) add(c candidate, conditions *conditions) {
	key, value := conditions.distinction()
	if key.Kind == proxy.KeyNone {
		m.plain = append(m.plain, c)
		return
	}
	i := slices.IndexFunc(m.values, func(v byValue) bool { return v.key == key })
	if i < 0 {
		i = len(m.values)
		m.values = append(m.values, byValue{key, map[string][]candidate{}})
	}
	m.values[i].routes[value] = append(m.values[i].routes[value], c)
}

// distinction returns the first value that the conditions ask for, and of what.
func (c *conditions) distinction() (proxy.Key, string) {
	for _, m := range c.headers {
		if !m.Any {
			return proxy.Key{Kind: proxy.KeyHeader, Name: m.Name}, m.Value
		}
	}
	for _, m := range c.cookies {
		if !m.Any {
			return proxy.Key{Kind: proxy.KeyCookie, Name: m.Name}, m.Value
		}
	}
	for _, m := range c.queries {
		if !m.Any && len(m.Value) <= longestParameter {
			return proxy.Key{Kind: proxy.KeyQuery, Name: m.Name}, m.Value
		}
	}
	return proxy.Key{}, ""
}

// find tries the routes of the bucket.
func (b *bucket) find(x *search) {
	if !b.used || x.try(b.first) || b.more == nil {
		return
	}
	x.all(b.more.plain)
	for i := range b.more.values {
		b.more.values[i].find(x)
	}
}

// find tries the routes that ask for a value that the request has.
func (v *byValue) find(x *search) {
	switch v.key.Kind {
	case proxy.KeyHeader:
		for i := 0; ; i++ {
			value, ok := x.request.Field(v.key.Name, i)
			if !ok {
				return
			}
			x.all(v.routes[string(value)])
		}
	case proxy.KeyCookie:
		for i := 0; ; i++ {
			field, ok := x.request.Field("cookie", i)
			if !ok {
				return
			}
			for len(field) > 0 {
				var name, value []byte
				if name, value, field = cutCookie(field); string(name) == v.key.Name {
					x.all(v.routes[string(value)])
				}
			}
		}
	default:
		v.findParameter(x)
	}
}

func (v *byValue) findParameter(x *search) {
	var room [longestParameter]byte
	for query := x.request.Query(); len(query) > 0; {
		var name, value []byte
		if name, value, query = cutParameter(query); !sameDecoded(name, v.key.Name) {
			continue
		}
		n := 0
		for len(value) > 0 && n < len(room) {
			room[n], value = cutDecoded(value)
			n++
		}
		if len(value) == 0 {
			x.all(v.routes[string(room[:n])])
		}
	}
}
