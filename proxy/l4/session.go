package l4

import (
	"time"

	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/tunnel"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// session is a connection that has a server. It belongs to its loop.
type session struct {
	loop   *reactor.Loop
	tunnel tunnel.Tunnel
	to     *target
	server *upstream.Server

	stay func() // lets it live again; nil: nothing ends it
}

// sessions are those of one loop.
type sessions struct{ all map[*session]struct{} }

func (s *sessions) enter(one *session) {
	if s.all == nil {
		s.all = make(map[*session]struct{})
	}
	s.all[one] = struct{}{}
}

func (s *sessions) leave(one *session) {
	delete(s.all, one)
	one.keep()
}

// review looks at each session by a new config.
func (s *sessions) review(c *Config) {
	for one := range s.all {
		one.review(c)
	}
}

// review lets the session end in due time if its server is not to serve any more.
func (s *session) review(c *Config) {
	after, wanted := c.wants(s)
	switch {
	case wanted:
		s.keep()
	case s.stay == nil && after > 0: // else it is on its way, or has all the time
		s.stay = s.loop.Every(after, s.tunnel.Abort)
	}
}

// keep takes back what a review has decided.
func (s *session) keep() {
	if s.stay != nil {
		s.stay()
		s.stay = nil
	}
}

// wants reports whether the server of a session is to go on serving, and otherwise how
// long the session may last.
func (c *Config) wants(s *session) (drain time.Duration, wanted bool) {
	to := c.known[s.to.name]
	if to == nil {
		return s.to.drain, false
	}
	return to.drain, to.ready[s.server.Address()]
}
