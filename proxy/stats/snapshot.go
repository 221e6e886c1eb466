package stats

import "slices"

// Snapshot is what a registry had counted at some time: a value.
type Snapshot struct {
	Pages   []PageCounts   `json:",omitempty"` // sorted by listener and pool
	Servers []ServerCounts `json:",omitempty"` // sorted by pool and server
}

// PageCounts is what a page says.
type PageCounts struct {
	Key
	Protocol string

	Begun, Over uint64            // requests, or connections
	In, Out     uint64            // bytes, from and to clients
	Classes     [Classes]uint64   // responses
	Ends        map[string]uint64 `json:",omitempty"` // by how it ended, where that is counted

	Total     Distribution `json:",omitzero"`
	FirstByte Distribution `json:",omitzero"`
	Connect   Distribution `json:",omitzero"`
	Queue     Distribution `json:",omitzero"`
}

// ServerCounts is what the books on a server say.
type ServerCounts struct {
	ServerKey
	Classes [Classes]uint64 // its responses, also those that another server's took the place of
}

// Valid reports whether all distributions are: what a snapshot is made from may have come
// from elsewhere.
func (s *Snapshot) Valid() bool {
	for i := range s.Pages {
		p := &s.Pages[i]
		if !p.Total.Valid() || !p.FirstByte.Valid() || !p.Connect.Valid() || !p.Queue.Valid() {
			return false
		}
	}
	return true
}

// Listener returns the sum of the pages of a listener.
func (s *Snapshot) Listener(name string) PageCounts {
	sum := PageCounts{Key: Key{Listener: name}}
	for i := range s.Pages {
		if p := &s.Pages[i]; p.Listener == name {
			sum.Protocol = p.Protocol
			sum.add(p)
		}
	}
	return sum
}

// Pool returns the sum of the pages of a pool.
func (s *Snapshot) Pool(name string) PageCounts {
	sum := PageCounts{Key: Key{Pool: name}}
	for i := range s.Pages {
		if p := &s.Pages[i]; p.Pool == name {
			sum.add(p)
		}
	}
	return sum
}

// Sub returns what s counts beyond before. Of a page that is not in before, or not in an
// earlier state, that is all of it.
func (s *Snapshot) Sub(before *Snapshot) Snapshot {
	d := Snapshot{Pages: slices.Clone(s.Pages), Servers: slices.Clone(s.Servers)}
	pages := make(map[Key]*PageCounts, len(before.Pages))
	for i := range before.Pages {
		pages[before.Pages[i].Key] = &before.Pages[i]
	}
	for i := range d.Pages {
		if old := pages[d.Pages[i].Key]; old != nil {
			d.Pages[i] = d.Pages[i].sub(old)
		}
	}
	servers := make(map[ServerKey]*ServerCounts, len(before.Servers))
	for i := range before.Servers {
		servers[before.Servers[i].ServerKey] = &before.Servers[i]
	}
	for i := range d.Servers {
		one := &d.Servers[i]
		if old := servers[one.ServerKey]; old != nil && !fewer(one.Classes[:], old.Classes[:]) {
			for class, n := range old.Classes {
				one.Classes[class] -= n
			}
		}
	}
	return d
}

func fewer(now, before []uint64) bool {
	for i := range now {
		if now[i] < before[i] {
			return true
		}
	}
	return false
}

func (p *PageCounts) add(o *PageCounts) {
	p.Begun += o.Begun
	p.Over += o.Over
	p.In += o.In
	p.Out += o.Out
	for class, n := range o.Classes {
		p.Classes[class] += n
	}
	for end, n := range o.Ends {
		if p.Ends == nil {
			p.Ends = make(map[string]uint64)
		}
		p.Ends[end] += n
	}
	p.Total.Add(o.Total)
	p.FirstByte.Add(o.FirstByte)
	p.Connect.Add(o.Connect)
	p.Queue.Add(o.Queue)
}

func (p PageCounts) sub(before *PageCounts) PageCounts {
	if p.Protocol != before.Protocol || p.Begun < before.Begun || p.Over < before.Over || p.In < before.In || p.Out < before.Out ||
		fewer(p.Classes[:], before.Classes[:]) {
		return p
	}
	d := p
	d.Begun -= before.Begun
	d.Over -= before.Over
	d.In -= before.In
	d.Out -= before.Out
	for class, n := range before.Classes {
		d.Classes[class] -= n
	}
	d.Ends = nil
	for end, n := range p.Ends {
		if n -= min(n, before.Ends[end]); n > 0 {
			if d.Ends == nil {
				d.Ends = make(map[string]uint64)
			}
			d.Ends[end] = n
		}
	}
	d.Total = p.Total.Sub(before.Total)
	d.FirstByte = p.FirstByte.Sub(before.FirstByte)
	d.Connect = p.Connect.Sub(before.Connect)
	d.Queue = p.Queue.Sub(before.Queue)
	return d
}
