package stats

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tandemlb/tandem/proxy"
)

// Registry has all pages of a process, by the names that the config gives. Multiple
// goroutines may use it at the same time.
type Registry struct {
	loops int

	mu      sync.Mutex
	pages   map[pageID]*Page
	servers map[ServerKey]*Server
}

// pageID tells pages apart: a listener whose protocol has changed begins new ones.
type pageID struct {
	Key
	protocol string
}

// NewRegistry returns a registry for as many loops.
func NewRegistry(loops int) *Registry {
	return &Registry{loops: loops, pages: make(map[pageID]*Page), servers: make(map[ServerKey]*Server)}
}

// Page returns the page of a key, which is begun if there is none of that kind.
func (r *Registry) Page(k Key, kind Kind) *Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := pageID{k, kind.Protocol}
	p := r.pages[id]
	if p == nil {
		p = &Page{key: k, kind: kind, shards: make([]atomic.Pointer[Shard], r.loops)}
		r.pages[id] = p
	}
	return p
}

// Server returns the books on a server, which are begun if there are none.
func (r *Registry) Server(k ServerKey) *Server {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.servers[k]
	if s == nil {
		s = &Server{key: k, shards: make([]serverShard, r.loops)}
		r.servers[k] = s
	}
	return s
}

// Retain forgets what a config does not name. What still goes on by an older config is
// written where nobody reads it any more.
func (r *Registry) Retain(spec *proxy.Spec) {
	pages, servers := make(map[pageID]bool), make(map[ServerKey]bool)
	for i := range spec.Listeners {
		l := &spec.Listeners[i]
		pages[pageID{Key{Listener: l.Name}, string(l.Protocol)}] = true
		for _, pool := range l.Pools() {
			pages[pageID{Key{l.Name, pool}, string(l.Protocol)}] = true
		}
	}
	for i := range spec.Pools {
		for j := range spec.Pools[i].Servers {
			servers[ServerKey{spec.Pools[i].Name, spec.Pools[i].Servers[j].Name}] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.pages, func(k pageID, _ *Page) bool { return !pages[k] })
	maps.DeleteFunc(r.servers, func(k ServerKey, _ *Server) bool { return !servers[k] })
}

// Snapshot returns what was counted.
func (r *Registry) Snapshot() Snapshot {
	r.mu.Lock()
	pages, servers := slices.Collect(maps.Values(r.pages)), slices.Collect(maps.Values(r.servers))
	r.mu.Unlock()
	slices.SortFunc(pages, func(a, b *Page) int {
		return cmp.Or(cmp.Compare(a.key.Listener, b.key.Listener), cmp.Compare(a.key.Pool, b.key.Pool))
	})
	slices.SortFunc(servers, func(a, b *Server) int {
		return cmp.Or(cmp.Compare(a.key.Pool, b.key.Pool), cmp.Compare(a.key.Server, b.key.Server))
	})
	s := Snapshot{Pages: make([]PageCounts, 0, len(pages)), Servers: make([]ServerCounts, 0, len(servers))}
	for _, p := range pages {
		s.Pages = append(s.Pages, p.counts())
	}
	for _, one := range servers {
		s.Servers = append(s.Servers, one.counts())
	}
	return s
}

func (p *Page) counts() PageCounts {
	c := PageCounts{Key: p.key, Protocol: p.kind.Protocol}
	for i := range p.shards {
		s := p.shards[i].Load()
		if s == nil {
			continue
		}
		c.Over += s.over.Load() // before what has begun: what goes on is never less than nothing
		c.Begun += s.begun.Load()
		c.In += s.In.Load()
		c.Out += s.Out.Load()
		for class := range s.classes {
			c.Classes[class] += s.classes[class].Load()
		}
		for end := range s.ends {
			if n := s.ends[end].Load(); n > 0 {
				if c.Ends == nil {
					c.Ends = make(map[string]uint64)
				}
				c.Ends[p.kind.Ends[end]] += n
			}
		}
		s.Total.addTo(&c.Total)
		s.FirstByte.addTo(&c.FirstByte)
		s.Connect.addTo(&c.Connect)
		s.Queue.addTo(&c.Queue)
	}
	return c
}

func (s *Server) counts() ServerCounts {
	c := ServerCounts{ServerKey: s.key}
	for i := range s.shards {
		for class := range s.shards[i].classes {
			c.Classes[class] += s.shards[i].classes[class].Load()
		}
	}
	return c
}
