package config

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/source"
)

// decoder walks the tree of a file and collects everything wrong with it. Its
// methods report what they do not accept and return a value to go on with.
type decoder struct {
	*source.File
	places map[string]source.Place // where what must be unique was first seen, see claim
}

// field is a value of the file. The zero field stands for a key that the file
// leaves out.
type field struct {
	key   *yaml.Node // nil for the root; of a list's element, the key of the list
	value *yaml.Node
}

// fields are the known keys of a map that the file sets.
type fields map[string]field

func (f field) set() bool { return f.value != nil }

// errorf adds an error about n.
func (d *decoder) errorf(n *yaml.Node, format string, args ...any) {
	d.Report(d.Place(n), format, args...)
}

// invalid adds an error about the value of f, which its key introduces.
func (d *decoder) invalid(f field, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if f.key != nil {
		message = f.key.Value + ": " + message
	}
	// A missing value has no place of its own; YAML puts it on a later line.
	if isNull(f.value) && f.value.Value == "" && f.key != nil {
		d.errorf(f.key, "%s", message)
		return
	}
	d.errorf(f.value, "%s", message)
}

// expected adds an error about f, whose value is of the wrong type.
func (d *decoder) expected(f field, what string) {
	d.invalid(f, "expected %s, found %s", what, describe(f.value))
}

// ok reports whether nothing was reported since the count of errors was mark.
// What relates several values is judged only when each of them is good.
func (d *decoder) ok(mark int) bool { return d.Count() == mark }

// entries returns the keys and values of the map f in the order of the file.
func (d *decoder) entries(f field, what string) []field {
	if !f.set() {
		return nil
	}
	if f.value.Kind != yaml.MappingNode {
		d.expected(f, what)
		return nil
	}
	first := make(map[string]*yaml.Node)
	var entries []field
	for i := 0; i+1 < len(f.value.Content); i += 2 {
		key, value := f.value.Content[i], f.value.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.errorf(key, "expected a key, found %s", describe(key))
			continue
		}
		if before := first[key.Value]; before != nil {
			d.errorf(key, "duplicate key %q, first at %s", key.Value, d.At(d.Place(before)))
			continue
		}
		first[key.Value] = key
		entries = append(entries, field{key, value})
	}
	return entries
}

// object returns the values of the map f by key, and refuses other keys.
func (d *decoder) object(f field, keys ...string) fields {
	known := make(fields)
	for _, e := range d.entries(f, "a map with the keys "+source.Enumerate(keys, "and")) {
		if !slices.Contains(keys, e.key.Value) {
			d.errorf(e.key, "unknown key %q%s", e.key.Value, source.Instead(e.key.Value, keys))
			continue
		}
		known[e.key.Value] = e
	}
	return known
}

// named returns the entries of the map f from names of the operator's choice
// to what.
func (d *decoder) named(f field, what string) []field {
	entries := d.entries(f, "a map of names to "+what)
	for _, e := range entries {
		d.validName(e.key, e.key.Value)
	}
	return entries
}

// validName refuses a name that would be ambiguous in `POOL/ADDRESS`, in a
// metric or in a log. It is a DNS label (RFC 1123, section 2.1) that may also
// hold underscores.
func (d *decoder) validName(n *yaml.Node, name string) {
	valid := name != "" && len(name) <= 63
	for i, r := range name {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		inner := (r == '-' || r == '_') && i > 0 && i < len(name)-1
		valid = valid && (letter || inner)
	}
	if !valid {
		d.errorf(n, "%q is not a name: use 1 to 63 letters, digits, - or _, with a letter or digit at both ends", name)
	}
}

// list returns the elements of f, which may also be a single one; there is at
// least one.
func (d *decoder) list(f field, what string) []field {
	if !f.set() {
		return nil
	}
	if f.value.Kind != yaml.SequenceNode {
		return []field{f}
	}
	if len(f.value.Content) == 0 {
		d.invalid(f, "the list is empty: expected at least one %s", what)
	}
	elements := make([]field, 0, len(f.value.Content))
	for _, n := range f.value.Content {
		elements = append(elements, field{f.key, n})
	}
	return elements
}

// claim refuses f when its value was seen before in the same role, of which
// there is one for each value.
func (d *decoder) claim(f field, value, role string) {
	key := role + " " + value
	if first, taken := d.places[key]; taken {
		d.invalid(f, "%s is already %s, at %s", value, role, d.At(first))
		return
	}
	d.places[key] = d.Place(f.value)
}

// describe says what n is, in an operator's words.
func describe(n *yaml.Node) string {
	switch {
	case isNull(n):
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case utf8.RuneCountInString(n.Value) > 60:
		return fmt.Sprintf("%q...", string([]rune(n.Value)[:60]))
	default:
		return fmt.Sprintf("%q", n.Value)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
