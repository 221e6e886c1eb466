// Package tickets keeps the keys that the session tickets of TLS are made with: which
// a node knows, when it makes a new one, and which of them it makes tickets with. A
// client that comes back after a failover resumes its session at the other node when
// both know the key of its ticket. The package is pure.
package tickets

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

const (
	// Rotation is the age of the newest key at which a new one is made. Who steals a
	// key can read the sessions of TLS 1.2 that were begun or resumed with it, so it
	// is not used for long; a client that comes back within the day finds its key.
	Rotation = 12 * time.Hour
	// Validity is how long a key is accepted: a ticket of the end of its rotation is
	// still good for a day.
	Validity = 36 * time.Hour
	// Spread is how long a new key is not made tickets with, unless the peer says that
	// it has it: gossip takes a second, and five where a message was lost.
	Spread = 30 * time.Second
	// lately is how old a key may be to make tickets with it because the peer has it: one
	// that is made then is good for a rotation yet.
	lately = Validity - Rotation
	// jitter spreads over the nodes when they make a new key, so that mostly one does.
	jitter = 10 * time.Minute
	// maxKeys bounds the keys that are known: three of either node are alive at a time,
	// when both go on making them while they cannot hear each other, and there is room
	// for as many again.
	maxKeys = 12
	// MaxSaid bounds the keys that a node is believed to know.
	MaxSaid = 4 * maxKeys
)

// Secret is what tickets are made with. It does not show itself in texts.
type Secret [32]byte

// String hides the secret.
func (Secret) String() string { return "(secret)" }

// GoString hides the secret.
func (Secret) GoString() string { return "(secret)" }

// MarshalText writes the secret for the peer.
func (s Secret) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, s[:]), nil
}

// UnmarshalText reads what MarshalText writes.
func (s *Secret) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(b) != len(s) {
		return errors.New("decode a ticket key: it is not 32 bytes in base64") // without the text: it is a secret
	}
	copy(s[:], b)
	return nil
}

// ID names a secret, and tells nothing about it.
type ID [8]byte

// String returns the name in hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ID returns the name of the secret.
func (s Secret) ID() ID {
	sum := sha256.Sum256(append([]byte("tandem ticket key name\x00"), s[:]...))
	return ID(sum[:8])
}

// Key is a key as the nodes tell it each other.
type Key struct {
	Secret Secret
	Born   time.Time // by the clock of the node that made it
}

// newer orders keys: the one that was born later comes first.
func newer(a, b Key) int {
	return cmp.Or(b.Born.Compare(a.Born), bytes.Compare(a.Secret[:], b.Secret[:]))
}

// Validate refuses what no node says.
func Validate(keys []Key) error {
	if len(keys) > MaxSaid {
		return fmt.Errorf("%d ticket keys exceed the limit of %d", len(keys), MaxSaid)
	}
	for _, k := range keys {
		if k.Secret == (Secret{}) {
			return errors.New("a ticket key is all zero")
		}
	}
	return nil
}

// Ring is the keys that a node knows. The zero value knows none. Rings that have been
// merged with the same keys, in whatever order, are the same.
type Ring struct {
	keys []Key // the newest first
}

// Keys returns the keys that are alive, to tell the peer.
func (r *Ring) Keys() []Key { return slices.Clone(r.keys) }

// Merge takes keys in that this node made or the peer told, at the time now, and
// reports whether that changed the Ring. Clocks of the nodes differ: a key from the
// future counts as born now; so it neither lives longer, nor stops the rotation. Of two
// times of birth for one key the earlier counts, at both nodes.
func (r *Ring) Merge(now time.Time, keys []Key) bool {
	before := slices.Clone(r.keys)
	for _, k := range keys {
		k.Born = k.Born.Round(0).UTC()
		if k.Born.After(now) {
			k.Born = now.Round(0).UTC()
		}
		i := slices.IndexFunc(r.keys, func(have Key) bool { return have.Secret == k.Secret })
		switch {
		case i < 0:
			r.keys = append(r.keys, k)
		case k.Born.Before(r.keys[i].Born):
			r.keys[i].Born = k.Born
		}
	}
	r.trim(now)
	return !slices.Equal(before, r.keys)
}

// Expire forgets what is too old, and reports whether something was.
func (r *Ring) Expire(now time.Time) bool {
	before := len(r.keys)
	r.trim(now)
	return len(r.keys) != before
}

func (r *Ring) trim(now time.Time) {
	for i := range r.keys {
		if r.keys[i].Born.After(now) { // this node's clock was set back
			r.keys[i].Born = now.Round(0).UTC()
		}
	}
	r.keys = slices.DeleteFunc(r.keys, func(k Key) bool { return now.Sub(k.Born) > Validity })
	slices.SortFunc(r.keys, newer)
	if len(r.keys) > maxKeys {
		r.keys = slices.Delete(r.keys, maxKeys, len(r.keys))
	}
}

// Due reports whether the node of that name has to make a new key.
func (r *Ring) Due(now time.Time, node string) bool {
	return len(r.keys) == 0 || now.Sub(r.keys[0].Born) >= Rotation+delay(node)
}

// delay is the node's part of jitter.
func delay(node string) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(node)) // never fails
	return time.Duration(h.Sum64() % uint64(jitter))
}

// Order returns the keys in the order in which a listener is given them: the first is
// the one to make tickets with, the others are accepted. It is the newest that the peer
// is known to have, or else, when nothing is known of the peer, or it has none of them,
// the newest that had the time to spread, or else the newest.
func (r *Ring) Order(now time.Time, peer []Key) [][32]byte {
	if len(r.keys) == 0 {
		return nil
	}
	first := slices.IndexFunc(r.keys, func(k Key) bool {
		return now.Sub(k.Born) < lately && slices.ContainsFunc(peer, func(p Key) bool { return p.Secret == k.Secret })
	})
	if first < 0 {
		first = slices.IndexFunc(r.keys, func(k Key) bool { return now.Sub(k.Born) >= Spread })
	}
	first = max(first, 0)
	all := [][32]byte{r.keys[first].Secret}
	for i, k := range r.keys {
		if i != first {
			all = append(all, k.Secret)
		}
	}
	return all
}
