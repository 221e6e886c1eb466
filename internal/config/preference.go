package config

import (
	"maps"
	"slices"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/source"
)

// preference returns the preferred node of a VIP, and the priority of every
// node. The owner of an address, if there is one, is preferred to all (RFC 9568,
// section 5.2.4).
func (d *decoder) preference(f notation.Fields, nodes []Node, owner string) (prefer string, priority map[string]uint8) {
	if len(nodes) == 0 {
		return "", nil
	}
	names := nodeNames(nodes)
	mark := d.Count()
	prefer = names[0]
	if owner != "" {
		prefer = owner
	}
	if f["prefer"].Set() {
		prefer = d.Reference(f["prefer"], "node", names)
	}
	explicit := d.priorities(f["priority"], names)
	priority = defaultPriorities(names, prefer)
	maps.Copy(priority, explicit)
	if owner != "" {
		d.refuseBesideOwner(f, owner, prefer, explicit)
		priority[owner] = 255
	}
	if !d.OK(mark) || len(explicit) == 0 {
		return prefer, priority
	}
	slices.SortStableFunc(names, func(a, b string) int { return int(priority[b]) - int(priority[a]) })
	first := names[0]
	for i, name := range names[1:] {
		if priority[name] == priority[names[i]] {
			d.Invalid(f["priority"], "nodes %q and %q both have priority %d: whose is the VIP?", names[i], name, priority[name])
			return prefer, priority
		}
	}
	if f["prefer"].Set() && first != prefer {
		d.Invalid(f["prefer"], "%q is preferred, but its priority %d is below the %d of %q",
			prefer, priority[prefer], priority[first], first)
	}
	return first, priority
}

func (d *decoder) priorities(f notation.Field, names []string) map[string]uint8 {
	priorities := make(map[string]uint8)
	for _, e := range d.Entries(f, "a map of nodes to priorities such as {lb1: 200, lb2: 150}") {
		if name := e.Key.Value; !slices.Contains(names, name) {
			d.Errorf(e.Key, "unknown node %q%s", name, source.Instead(name, names))
		}
		// 255 is for a host that owns the address, 0 for one that leaves (RFC
		// 9568, section 5.2.4).
		priorities[e.Key.Value] = uint8(d.Integer(e, 1, 254))
	}
	return priorities
}

// defaultPriorities returns 200 for the preferred node, then 150 and 100 in the
// order of names.
func defaultPriorities(names []string, preferred string) map[string]uint8 {
	priorities := make(map[string]uint8)
	next := uint8(150)
	for _, name := range names {
		if name == preferred {
			priorities[name] = 200
			continue
		}
		priorities[name] = next
		next -= 50
	}
	return priorities
}

// refuseBesideOwner refuses what contradicts the owner's place.
func (d *decoder) refuseBesideOwner(f notation.Fields, owner, prefer string, explicit map[string]uint8) {
	if prefer != owner {
		d.Invalid(f["prefer"], "%q is preferred, but the VIP is an address of node %q, which comes first whenever it is there", prefer, owner)
	}
	if _, set := explicit[owner]; set {
		d.Invalid(f["priority"], "the VIP is an address of node %q, which so has priority 255: leave it out", owner)
	}
}
