package stats

import "sync/atomic"

// The classes of the statuses of HTTP.
const (
	Class1xx = iota
	Class2xx
	Class3xx
	Class4xx // but for 499
	Class499 // the client left before it had an answer
	Class5xx
	ClassOther // none, or one that no class is known for
	Classes
)

// ClassNames are the names of the classes.
var ClassNames = [Classes]string{"1xx", "2xx", "3xx", "4xx", "499", "5xx", "other"}

// ClassOf returns the class of a status.
func ClassOf(status int) int {
	switch {
	case status == 499:
		return Class499
	case status < 100 || status > 599:
		return ClassOther
	case status >= 500:
		return Class5xx
	}
	return status/100 - 1
}

// Key names a page. Pool is empty for what was answered, or refused, without one.
type Key struct{ Listener, Pool string }

// Page is the books on what came by one listener and went to one pool. Multiple
// goroutines may use it at the same time.
type Page struct {
	key    Key
	kind   Kind
	shards []atomic.Pointer[Shard] // by loop; nil until there is something to write
}

// Kind is what a page is about.
type Kind struct {
	Protocol string
	// Ends are the names of the ways in which something can end, by number. Which of
	// them are counted is for who keeps the page to say.
	Ends []string
}

// Shard returns the part of the page that the code of a loop writes: only that calls
// Shard with its number.
func (p *Page) Shard(loop int) *Shard {
	at := &p.shards[loop]
	if s := at.Load(); s != nil {
		return s
	}
	s := &Shard{ends: make([]atomic.Uint64, len(p.kind.Ends))}
	at.Store(s)
	return s
}

// Shard is the part of a page that one loop writes. Its size is 8 KB.
type Shard struct {
	// In and Out count bytes from and to clients: of bodies, and of all that is carried
	// without being looked at.
	In, Out atomic.Uint64

	Total     Histogram // from the beginning to the end
	FirstByte Histogram // from the beginning to the head of the response
	Connect   Histogram // to connect to a server, when that succeeded
	Queue     Histogram // to wait for a server, when there was a wait

	begun, over atomic.Uint64
	classes     [Classes]atomic.Uint64
	ends        []atomic.Uint64
}

// Begin counts a request, or a connection, that begins, and Finish one that is over.
// Both are told to the page without a pool: when it begins, it is not known yet where it
// goes, and the pool that it went to may be gone when it is over.
func (s *Shard) Begin() { s.begun.Add(1) }

// Finish follows Begin.
func (s *Shard) Finish() { s.over.Add(1) }

// Respond counts a response.
func (s *Shard) Respond(status int) { s.classes[ClassOf(status)].Add(1) }

// End counts one of the Ends of the page's kind.
func (s *Shard) End(n int) { s.ends[n].Add(1) }

// Server is the books on one server of a pool. Multiple goroutines may use it at the same
// time; nil keeps none.
type Server struct {
	key    ServerKey
	shards []serverShard // by loop
}

// ServerKey names the books on a server.
type ServerKey struct{ Pool, Server string }

// serverShard fills a line of the cache, which no other loop writes to.
type serverShard struct {
	classes [Classes]atomic.Uint64
	_       [64 - 8*Classes]byte
}

// Respond counts a response of the server, on a loop.
func (s *Server) Respond(loop, status int) {
	if s != nil {
		s.shards[loop].classes[ClassOf(status)].Add(1)
	}
}
