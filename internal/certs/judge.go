package certs

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/secure"
)

// terms are what the files of a config come to, by the index of the listener or of the
// pool. Of pools they are those under which this side shows its certificate.
type terms struct {
	listeners map[int]agreed
	pools     map[int]agreed
}

// clone returns terms that can be changed on their own.
func (t terms) clone() terms { return terms{maps.Clone(t.listeners), maps.Clone(t.pools)} }

// agreed are terms with what they say of their certificates.
type agreed struct {
	*secure.Terms
	certificates []secure.Info
}

func agree(t *secure.Terms, before agreed) agreed {
	if t == before.Terms {
		return before
	}
	return agreed{t, t.Certificates()}
}

// judge returns what the files of p come to, and says why those who use them cannot go
// by them. old are the terms of before.
func judge(spec proxy.Spec, p part, files proxy.Files, old terms) (terms, error) {
	var errs []error
	made := terms{listeners: map[int]agreed{}, pools: map[int]agreed{}}
	for _, i := range p.listeners {
		l := spec.Listeners[i]
		t, err := secure.Server(&l, files, old.listeners[i].Terms)
		if err != nil {
			errs = append(errs, fmt.Errorf("listener %q: %w", l.Name, err))
			continue
		}
		made.listeners[i] = agree(t, old.listeners[i])
	}
	for _, i := range p.pools {
		pool := spec.Pools[i]
		t, err := judgePool(pool, files, old.pools[i].Terms)
		if err != nil {
			errs = append(errs, fmt.Errorf("pool %q: %w", pool.Name, err))
			continue
		}
		if t != nil {
			made.pools[i] = agree(t, old.pools[i])
		}
	}
	return made, errors.Join(errs...)
}

// judgePool returns the terms of a listener that would have the pool's certificate; nil
// where it has none.
func judgePool(p proxy.Pool, files proxy.Files, old *secure.Terms) (*secure.Terms, error) {
	if _, err := secure.Client(p.TLS, files); err != nil {
		return nil, err
	}
	if p.TLS.Cert == "" {
		return nil, nil
	}
	own := proxy.ListenerTLS{Certificates: []proxy.Certificate{{Cert: p.TLS.Cert, Key: p.TLS.Key}}}
	return secure.Server(&proxy.Listener{Name: p.Name, Protocol: proxy.TCP, TLS: &own}, files, old)
}

// unreadable says which files of p cannot be read, and why.
func (p part) unreadable(seen map[string]reading) error {
	var errs []error
	for _, path := range slices.Sorted(slices.Values(p.paths)) {
		if err := seen[path].err; err != nil {
			errs = append(errs, fmt.Errorf("read %q: %w", path, err))
		}
	}
	return errors.Join(errs...)
}
