package certs

import (
	"slices"

	"github.com/tandemlb/tandem/proxy"
)

// part is a set of files that are good together or not at all, such as a certificate
// and its key: they are taken up together.
type part struct {
	paths     []string // in the order in which the config names them
	listeners []int    // that use them, by their index in the spec
	pools     []int
}

// partsOf returns the files that spec names. Each is in one part: sets that share one
// are one part.
func partsOf(spec proxy.Spec) []part {
	var all []part
	for i, l := range spec.Listeners {
		if l.TLS == nil {
			continue
		}
		for _, c := range l.TLS.Certificates {
			all = join(all, part{paths: []string{c.Cert, c.Key}, listeners: []int{i}})
		}
		all = join(all, part{paths: []string{l.TLS.ClientCA, l.TLS.ClientCRL}, listeners: []int{i}})
	}
	for i, p := range spec.Pools {
		if p.TLS == nil {
			continue
		}
		all = join(all, part{paths: []string{p.TLS.Cert, p.TLS.Key}, pools: []int{i}})
		all = join(all, part{paths: []string{p.TLS.CA}, pools: []int{i}})
	}
	return all
}

// join adds p to all, as one with those that it shares a file with.
func join(all []part, p part) []part {
	p.paths = slices.DeleteFunc(p.paths, func(path string) bool { return path == "" })
	if len(p.paths) == 0 {
		return all
	}
	var apart []part
	for _, other := range all {
		if !slices.ContainsFunc(p.paths, func(path string) bool { return slices.Contains(other.paths, path) }) {
			apart = append(apart, other)
			continue
		}
		p.paths = slices.Concat(other.paths, p.paths)
		p.listeners = slices.Concat(other.listeners, p.listeners)
		p.pools = slices.Concat(other.pools, p.pools)
	}
	p.paths, p.listeners, p.pools = distinct(p.paths), distinct(p.listeners), distinct(p.pools)
	return append(apart, p)
}

// distinct returns list without what it has had before.
func distinct[T comparable](list []T) []T {
	var all []T
	for _, v := range list {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// everything returns all parts as one.
func everything(parts []part) part {
	var all part
	for _, p := range parts {
		all.listeners = append(all.listeners, p.listeners...)
		all.pools = append(all.pools, p.pools...)
	}
	slices.Sort(all.listeners)
	slices.Sort(all.pools)
	all.listeners, all.pools = slices.Compact(all.listeners), slices.Compact(all.pools)
	return all
}

// without returns p without the users of o.
func (p part) without(o part) part {
	p.listeners = slices.DeleteFunc(p.listeners, func(i int) bool { return slices.Contains(o.listeners, i) })
	p.pools = slices.DeleteFunc(p.pools, func(i int) bool { return slices.Contains(o.pools, i) })
	return p
}
