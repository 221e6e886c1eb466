package secure

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// SetTicketKeys makes sessions outlive the process, and be known to others that have
// the same keys: tickets are made with the first, and those made with any of them are
// accepted. From each key another one is derived that is bound to the listener, and to
// its rules for clients. Without keys nothing changes; crypto/tls makes its own then,
// as long as it was never given any.
func (t *Terms) SetTicketKeys(keys [][32]byte) {
	if len(keys) == 0 {
		return
	}
	derived := make([][32]byte, len(keys))
	for i, key := range keys {
		k, err := hkdf.Key(sha256.New, key[:], t.scope[:], "tandem TLS session tickets", len(derived[i]))
		if err != nil {
			panic("secure: " + err.Error()) // the length is within what SHA-256 can give
		}
		copy(derived[i][:], k)
	}
	t.config.SetSessionTicketKeys(derived)
}
