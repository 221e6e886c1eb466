package peer

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
)

// keySize is that of AES-256.
const keySize = 32

// NewKey returns the text of a new key file.
func NewKey() string {
	b := make([]byte, keySize)
	rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b) + "\n"
}

// ReadKey reads a key file as NewKey writes it. A file that others than its
// owner and group may read is refused.
func ReadKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read cluster key: %w (create one with: tandem keygen)", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("read cluster key: %s can be read by everyone (mode %04o); hint: chmod 0600 %s", path, info.Mode().Perm(), path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read cluster key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("read cluster key: %s does not hold %d bytes in base64 (create one with: tandem keygen)", path, keySize)
	}
	return key, nil
}
