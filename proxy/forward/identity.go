package forward

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

const (
	idLength = 32  // of an identity that is made here: 128 bits in hexadecimal
	maxID    = 128 // of one that is kept
)

// IDs draws the identities of requests. A goroutine has its own.
type IDs struct{ source *rand.ChaCha8 }

// NewIDs returns a source of identities that nobody foresees who does not know the
// seed. Two with the same seed draw the same.
func NewIDs(seed [32]byte) *IDs { return &IDs{rand.NewChaCha8(seed)} }

// draw writes the next identity into id.
func (s *IDs) draw(id *[idLength]byte) {
	var bits [idLength / 2]byte
	binary.BigEndian.PutUint64(bits[:], s.source.Uint64())
	binary.BigEndian.PutUint64(bits[8:], s.source.Uint64())
	hex.Encode(id[:], bits[:])
}

// identify keeps the identity that the request has, or draws a new one.
func (r *Request) identify(ids *IDs) {
	if lines := r.lines[requestID]; len(lines) == 1 && validID(lines[0]) {
		r.id = lines[0]
		return
	}
	ids.draw(&r.made)
	r.id = r.made[:]
}

// validID reports whether an identity can be kept: it goes into the logs of every
// service, so that it is short, visible, and without what ends a quoted text.
func validID(b []byte) bool {
	if len(b) == 0 || len(b) > maxID {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c > '~' || c == '"' || c == '\'' || c == '`' || c == '\\' {
			return false
		}
	}
	return true
}
