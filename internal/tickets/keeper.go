package tickets

import "time"

// Patience is how long a node that was started waits for the keys of its peer before it
// makes one of its own.
const Patience = 5 * time.Second

// Keeper keeps the Ring of a node. The zero value has just been started.
type Keeper struct {
	ring  Ring
	since time.Time // of the first Look
}

// Look takes in what the peer says that it knows, makes a key of what fresh returns
// when one is due, and returns the keys as Ring.Order has them. Without a key it waits
// for the peer, as long as awaited says that there is one which has yet to speak.
func (k *Keeper) Look(now time.Time, node string, said []Key, awaited bool, fresh func() Secret) [][32]byte {
	if k.since.IsZero() {
		k.since = now
	}
	k.ring.Merge(now, said)
	waits := awaited && len(k.ring.keys) == 0 && now.Sub(k.since) < Patience && !now.Before(k.since)
	if k.ring.Due(now, node) && !waits {
		k.ring.Merge(now, []Key{{Secret: fresh(), Born: now}})
	}
	return k.ring.Order(now, said)
}

// Keys returns the keys that are alive, the newest first.
func (k *Keeper) Keys() []Key { return k.ring.Keys() }
