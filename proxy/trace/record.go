package trace

import (
	"net/netip"
	"time"
)

// The longest texts that are kept of a request, in bytes.
const (
	maxMethod = 32
	maxHost   = 260
	maxPath   = 1024
)

// maxSpans bounds what is kept of one request: a pool allows ten retries, of which each
// may wait, connect and ask.
const maxSpans = 40

// Record is what is known of a request that is recorded: a span of its own, and those
// below it. Until [Buffer.End] it belongs to who began it.
type Record struct {
	Context        // of the request itself
	Parent  SpanID // zero: the trace begins here
	Start   time.Time
	End     time.Time

	Request  Request
	Listener string
	Route    int    // of the listener, counted from 1; 0: none
	Pool     string // empty: none
	Server   string // the last one tried; empty: none
	Retries  int
	Result

	Spans []Span // those that have ended, and the attempt that has not, in their order
	Lost  int    // how many more there were

	from *Buffer
	open int // the attempt that has not ended, counted from 1; 0: none
}

// Request is what the client asked. The record has its own copies of texts.
type Request struct {
	Method, Host, Path []byte         // Path without the query, which may be nobody's business
	Secure             bool           // it came over TLS
	Minor              uint8          // of HTTP/1
	Client             netip.Addr     // as far as trusted proxies tell; the zero Addr when nobody knows
	Peer               netip.AddrPort // who sent it to us
}

// Kind says what a span is about.
type Kind uint8

// The kinds of the spans below that of a request.
const (
	Queue   Kind = iota // it waited for a server that had no place left
	Connect             // to a server, as a part of an attempt
	Attempt             // to have a server answer
)

// Span is a part of what was done for a request.
type Span struct {
	ID     SpanID
	Parent SpanID
	Kind   Kind
	Start  time.Time
	End    time.Time

	Server  string         // its name; not of Queue
	Address netip.AddrPort // of the server; not of Queue
	Number  int            // of the attempt, counted from 1
	Result
}

// Result is how a span ended.
type Result struct {
	Status int    // of the response; 0: there was none
	Reason string // why it ended as it did
	Failed bool
}

// Ask makes q what the client asked. Texts that are too long are cut.
func (r *Record) Ask(q Request) {
	own := &r.Request
	method, host, path := own.Method, own.Host, own.Path
	*own = q
	own.Method = append(method[:0], q.Method[:min(len(q.Method), maxMethod)]...)
	own.Host = append(host[:0], q.Host[:min(len(q.Host), maxHost)]...)
	own.Path = append(path[:0], q.Path[:min(len(q.Path), maxPath)]...)
}

// Add adds a span that has ended, of which Kind, Start, End and Result are set. While an
// attempt is open it is below that, and about the same server.
func (r *Record) Add(s Span) {
	s.ID, s.Parent = r.from.spanID(), r.Span
	if r.open > 0 {
		a := &r.Spans[r.open-1]
		s.Parent, s.Server, s.Address, s.Number = a.ID, a.Server, a.Address, a.Number
	}
	r.add(s)
}

func (r *Record) add(s Span) bool {
	if len(r.Spans) == maxSpans {
		r.Lost++
		return false
	}
	r.Spans = append(r.Spans, s)
	return true
}

// Begin begins an attempt, of which Start, Server, Address and Number are set.
func (r *Record) Begin(s Span) {
	s.ID, s.Parent, s.Kind = r.from.spanID(), r.Span, Attempt
	if r.add(s) {
		r.open = len(r.Spans)
	}
}

// Finish ends the attempt that is open, if there is one.
func (r *Record) Finish(at time.Time, how Result) {
	if r.open > 0 {
		s := &r.Spans[r.open-1]
		s.End, s.Result = at, how
		r.open = 0
	}
}

// Outgoing is the context that the server gets: below the attempt that is open.
func (r *Record) Outgoing() Context {
	c := r.Context
	if r.open > 0 {
		c.Span = r.Spans[r.open-1].ID
	}
	return c
}
