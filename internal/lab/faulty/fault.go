package faulty

import (
	"fmt"
	"math/rand/v2"
)

// Kind names a way to misbehave.
type Kind string

// The ways to misbehave. Where a request is answered at all, it was read whole
// before, with its body.
const (
	None       Kind = ""            // an answer as it should be
	Refuse     Kind = "refuse"      // nobody listens, and every connection ends, as when a process dies
	Reset      Kind = "reset"       // a connection is reset as soon as it is accepted
	ResetAt    Kind = "reset at"    // it is reset after Bytes of the answer
	CloseAt    Kind = "close at"    // it is closed after Bytes of the answer
	StallHead  Kind = "stall head"  // nothing comes, and the connection stays
	StallBody  Kind = "stall body"  // nothing more comes after the head and Bytes of the body
	Slow       Kind = "slow"        // Rate bytes come in a second
	Status     Kind = "status"      // the answer has another status, and is in order
	LongBody   Kind = "long body"   // Bytes more come than Content-Length says
	ShortBody  Kind = "short body"  // Bytes less come than Content-Length says, then the end
	Garbage    Kind = "garbage"     // what comes is not HTTP
	Double     Kind = "double"      // two answers come to one request
	BadChunks  Kind = "bad chunks"  // a chunk has a size that is no number
	OpenChunks Kind = "open chunks" // the chunks end without the last one
)

// Kinds returns every way to misbehave.
func Kinds() []Kind {
	return []Kind{Refuse, Reset, ResetAt, CloseAt, StallHead, StallBody, Slow, Status, LongBody, ShortBody, Garbage,
		Double, BadChunks, OpenChunks}
}

// A Fault is a way to misbehave, and how often. The zero Fault is none.
type Fault struct {
	Kind   Kind
	Bytes  int // of ResetAt, CloseAt, StallBody, LongBody and ShortBody
	Rate   int // of Slow, in bytes a second; at least 1
	Status int // of Status

	// Hit of each Of requests (of each Of connections, with Reset) meet the fault;
	// with an Of of zero, all do. Refuse is not about requests: all do.
	Hit, Of int
	// Seed says which of each Of they are, the same ones each time; zero: the first.
	Seed uint64
}

// String describes the fault.
func (f Fault) String() string {
	s := string(f.Kind)
	switch f.Kind {
	case None:
		return "none"
	case ResetAt, CloseAt:
		s = fmt.Sprintf("%s byte %d", s, f.Bytes)
	case StallBody:
		s = fmt.Sprintf("stall at byte %d of the body", f.Bytes)
	case LongBody, ShortBody:
		s = fmt.Sprintf("%s by %d", s, f.Bytes)
	case Slow:
		s = fmt.Sprintf("%s, %d B/s", s, f.Rate)
	case Status:
		s = fmt.Sprintf("%s %d", s, f.Status)
	}
	if f.Of > 0 {
		s += fmt.Sprintf(", %d of %d", f.Hit, f.Of)
	}
	return s
}

// hits reports whether the i-th request, from 0, meets the fault.
func (f Fault) hits(i int) bool {
	if f.Kind == None || f.Of <= 0 {
		return f.Kind != None
	}
	block, place := i/f.Of, i%f.Of
	if f.Seed != 0 {
		place = rand.New(rand.NewPCG(f.Seed, uint64(block))).Perm(f.Of)[place]
	}
	return place < f.Hit
}
