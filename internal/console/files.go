package console

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	tokenMin, tokenMax = 32, 4096 // bytes
	// fileMax bounds what is read of a certificate and of a key.
	fileMax = 1 << 20
	// lookEvery is how often files are looked at that are used again and again.
	lookEvery = time.Second
)

// watched is what was made of files, and is made again once they change. It is looked
// at when it is needed, and needs no goroutine.
type watched[T any] struct {
	paths []string
	make  func() (T, error)
	// keep has what was made last stay when it cannot be made again.
	keep bool
	// changed is told how it went when the files have changed.
	changed func(error)

	mu     sync.Mutex
	looked time.Time
	stamps []stamp
	value  T
	err    error
}

// stamp tells one state of a file from another.
type stamp struct {
	missing bool
	size    int64
	at      time.Time
	file    os.FileInfo
}

func (s stamp) same(o stamp) bool {
	return s.missing == o.missing && s.size == o.size && s.at.Equal(o.at) && (s.missing || os.SameFile(s.file, o.file))
}

// get returns what the files make, as of now or at most lookEvery ago.
func (w *watched[T]) get(now time.Time) (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.looked.IsZero()
	if !first && now.Sub(w.looked) < lookEvery {
		return w.value, w.err
	}
	w.looked = now
	stamps := w.stat()
	if !first && w.isSame(stamps) {
		return w.value, w.err
	}
	w.stamps = stamps
	value, err := w.make()
	switch {
	case err == nil || !w.keep || first:
		w.value, w.err = value, err
	default: // the one before is better than none
	}
	if !first && w.changed != nil {
		w.changed(err)
	}
	return w.value, w.err
}

func (w *watched[T]) stat() []stamp {
	stamps := make([]stamp, len(w.paths))
	for i, path := range w.paths {
		info, err := os.Stat(path)
		if err != nil {
			stamps[i] = stamp{missing: true}
			continue
		}
		stamps[i] = stamp{size: info.Size(), at: info.ModTime(), file: info}
	}
	return stamps
}

func (w *watched[T]) isSame(stamps []stamp) bool {
	for i := range stamps {
		if !stamps[i].same(w.stamps[i]) {
			return false
		}
	}
	return true
}

// readFile reads a file of at most limit bytes. One that is secret must not be
// readable by others than its owner and group.
func readFile(path string, limit int64, secret bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case secret && info.Mode().Perm()&0o007 != 0:
		return nil, fmt.Errorf("%s can be read by everyone (mode %04o); hint: chmod 0640 %s", path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return text, nil
}

// digest stands for a token: of one length, whatever the token's.
type digest [sha256.Size]byte

// readToken reads the file of the token.
func readToken(path string) (digest, error) {
	text, err := readFile(path, tokenMax, true)
	if err != nil {
		hint := ""
		if errors.Is(err, os.ErrNotExist) {
			hint = " (create one with: tandem keygen)"
		}
		return digest{}, fmt.Errorf("read the admin token: %w%s", err, hint)
	}
	text = bytes.TrimSpace(text)
	if len(text) < tokenMin {
		return digest{}, fmt.Errorf("read the admin token: %s holds %d bytes, at least %d are needed (create one with: tandem keygen)", path, len(text), tokenMin)
	}
	for _, b := range text {
		if b <= ' ' || b > '~' {
			return digest{}, fmt.Errorf("read the admin token: %s holds more than one line of printable ASCII", path)
		}
	}
	return sha256.Sum256(text), nil
}

// readCertificate reads a certificate with its chain and its key.
func readCertificate(cert, key string) (*tls.Certificate, error) {
	chain, err := readFile(cert, fileMax, false)
	if err != nil {
		return nil, fmt.Errorf("read the admin certificate: %w", err)
	}
	private, err := readFile(key, fileMax, true)
	if err != nil {
		return nil, fmt.Errorf("read the key of the admin certificate: %w", err)
	}
	c, err := tls.X509KeyPair(chain, private)
	if err != nil {
		return nil, fmt.Errorf("read the admin certificate %q with the key %q: %w", cert, key, err)
	}
	return &c, nil
}

// soon is how long before its end a certificate is told of.
const soon = 30 * 24 * time.Hour

// Check reads the files of o as Open does, and returns what is to be known of them at now.
func Check(o Options, now time.Time) (warnings []string, err error) {
	var errs []error
	if o.TokenFile != "" {
		_, err := readToken(o.TokenFile)
		errs = append(errs, err)
	}
	if o.Cert != "" {
		c, err := readCertificate(o.Cert, o.Key)
		errs = append(errs, err)
		if err == nil && c.Leaf.NotAfter.Sub(now) < soon {
			ends := "expires"
			if !now.Before(c.Leaf.NotAfter) {
				ends = "has expired"
			}
			warnings = append(warnings, fmt.Sprintf("admin: %s: the certificate %s at %s", o.Cert, ends, c.Leaf.NotAfter.UTC().Format("2006-01-02 15:04 MST")))
		}
	}
	return warnings, errors.Join(errs...)
}
