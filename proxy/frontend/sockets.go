package frontend

import (
	"slices"

	"github.com/tandemlb/tandem/proxy/reactor"
)

// sockets are the listening ones of a frontend, and what was counted by those that
// are gone. It is not changed, but replaced: those who read it take no lock.
type sockets struct {
	all     []*reactor.Listener // that accept, or did and still have connections open
	stopped []*reactor.Listener // the second kind; also in all

	accepted, shed uint64 // by those that are no longer in all
}

// with returns what there is with one more.
func (s *sockets) with(ln *reactor.Listener) *sockets {
	next := s.fold()
	next.all = append(next.all, ln)
	return next
}

// stop returns what there is when ln has accepted its last connection.
func (s *sockets) stop(ln *reactor.Listener) *sockets {
	stopped := *s
	stopped.stopped = append(slices.Clone(s.stopped), ln)
	return stopped.fold()
}

// fold returns a copy in which those that have nothing to do any more, of which every
// reload may bring one, are numbers.
func (s *sockets) fold() *sockets {
	next := &sockets{accepted: s.accepted, shed: s.shed}
	for _, ln := range s.all {
		stopped := slices.Contains(s.stopped, ln)
		if stopped && ln.Open() == 0 {
			next.accepted += ln.Accepted()
			next.shed += ln.Refused()
			continue
		}
		next.all = append(next.all, ln)
		if stopped {
			next.stopped = append(next.stopped, ln)
		}
	}
	return next
}
