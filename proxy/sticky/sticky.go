// Package sticky makes the cookies that keep a client at its server. The value tells
// nothing of the server, and stays the same for as long as pool, address and key do:
// over reloads, restarts and takeovers by the other node.
package sticky

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
)

// size is how much of the HMAC a value has, in bytes before it is written in
// hexadecimal. It is long enough that nobody guesses another server's.
const size = 16

// Key derives the key of the cookies from a secret that both nodes of a pair have, so
// that a client keeps its server when the address moves.
func Key(secret []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "tandem sticky cookies", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of sticky cookies: %w", err)
	}
	return key, nil
}

// Table tells the servers of a pool by the values of their cookies. It does not change;
// multiple goroutines may use it at the same time.
type Table struct {
	index  map[string]int
	values []string
}

// New returns the table of a pool whose servers have these addresses.
func New(key []byte, pool string, addresses []netip.AddrPort) *Table {
	t := &Table{index: make(map[string]int, len(addresses)), values: make([]string, len(addresses))}
	for i, a := range addresses {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(pool))
		mac.Write([]byte{0}) // the name of a pool has none
		mac.Write([]byte(a.String()))
		t.values[i] = hex.EncodeToString(mac.Sum(nil)[:size])
		t.index[t.values[i]] = i
	}
	return t
}

// Find returns the index of the server that value is of.
func (t *Table) Find(value []byte) (i int, ok bool) {
	i, ok = t.index[string(value)]
	return i, ok
}

// Value returns the value for the i-th server.
func (t *Table) Value(i int) string { return t.values[i] }

// AppendCookie appends the value of a field Set-Cookie (RFC 6265, section 4.1): a cookie
// for the whole site and the session of the browser, that no script can read.
func AppendCookie(dst []byte, name, value string, secure bool) []byte {
	dst = append(append(append(dst, name...), '='), value...)
	dst = append(dst, "; Path=/; HttpOnly; SameSite=Lax"...)
	if secure {
		dst = append(dst, "; Secure"...)
	}
	return dst
}
