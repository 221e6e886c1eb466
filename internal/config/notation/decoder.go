// Package notation is how values are written in a configuration file, whatever
// they are for: it reads them, and reports everything that it does not accept at
// its place, and writes them back in the one form that is the shortest.
package notation

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/source"
)

// Decoder walks the tree of a file and collects everything wrong with it. Its
// methods report what they do not accept and return a value to go on with.
type Decoder struct {
	*source.File
	places map[string]source.Place // where what must be unique was first seen, see Claim
	bound  []bound                 // see Occupy
}

// Field is a value of the file. The zero Field stands for a key that the file
// leaves out.
type Field struct {
	Key   *yaml.Node // nil for the root; of a list's element, the key of the list
	Value *yaml.Node
}

// Fields are the known keys of a map that the file sets.
type Fields map[string]Field

// New returns the decoder of f.
func New(f *source.File) *Decoder {
	return &Decoder{File: f, places: make(map[string]source.Place)}
}

// Set reports whether the file has the key of f.
func (f Field) Set() bool { return f.Value != nil }

// Errorf adds an error about n.
func (d *Decoder) Errorf(n *yaml.Node, format string, args ...any) {
	d.Report(d.Place(n), format, args...)
}

// Invalid adds an error about the value of f, which its key introduces.
func (d *Decoder) Invalid(f Field, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if f.Key != nil {
		message = f.Key.Value + ": " + message
	}
	// A missing value has no place of its own; YAML puts it on a later line.
	if IsNull(f.Value) && f.Value.Value == "" && f.Key != nil {
		d.Errorf(f.Key, "%s", message)
		return
	}
	d.Errorf(f.Value, "%s", message)
}

// Expected adds an error about f, whose value is of the wrong type.
func (d *Decoder) Expected(f Field, what string) {
	d.Invalid(f, "expected %s, found %s", what, Describe(f.Value))
}

// OK reports whether nothing was reported since the count of errors was mark.
// What relates several values is judged only when each of them is good.
func (d *Decoder) OK(mark int) bool { return d.Count() == mark }

// Entries returns the keys and values of the map f in the order of the file.
func (d *Decoder) Entries(f Field, what string) []Field {
	if !f.Set() {
		return nil
	}
	if f.Value.Kind != yaml.MappingNode {
		d.Expected(f, what)
		return nil
	}
	if len(f.Value.Content) == 0 {
		return nil
	}
	pairs := len(f.Value.Content) / 2
	first := make(map[string]*yaml.Node, pairs)
	entries := make([]Field, 0, pairs)
	for i := 0; i+1 < len(f.Value.Content); i += 2 {
		key, value := f.Value.Content[i], f.Value.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.Errorf(key, "expected a key, found %s", Describe(key))
			continue
		}
		if before := first[key.Value]; before != nil {
			d.Errorf(key, "duplicate key %q, first at %s", key.Value, d.At(d.Place(before)))
			continue
		}
		first[key.Value] = key
		entries = append(entries, Field{key, value})
	}
	return entries
}

// Object returns the values of the map f by key, and refuses other keys.
func (d *Decoder) Object(f Field, keys ...string) Fields {
	switch {
	case !f.Set():
		return nil
	case f.Value.Kind != yaml.MappingNode:
		d.Expected(f, KeysOf(keys))
		return nil
	}
	known := make(Fields)
	for _, e := range d.Entries(f, "") {
		if !slices.Contains(keys, e.Key.Value) {
			d.Errorf(e.Key, "unknown key %q%s", e.Key.Value, source.Instead(e.Key.Value, keys))
			continue
		}
		known[e.Key.Value] = e
	}
	return known
}

// KeysOf says what a map of keys is.
func KeysOf(keys []string) string {
	if len(keys) == 1 {
		return "a map with the key " + keys[0]
	}
	return "a map with the keys " + source.Enumerate(keys, "and")
}

// Named returns the entries of the map f from names of the operator's choice
// to what.
func (d *Decoder) Named(f Field, what string) []Field {
	entries := d.Entries(f, "a map of names to "+what)
	for _, e := range entries {
		d.CheckName(e.Key, e.Key.Value)
	}
	return entries
}

// CheckName refuses a name that would be ambiguous in `POOL/ADDRESS`, in a
// metric or in a log. It is a DNS label (RFC 1123, section 2.1) that may also
// hold underscores.
func (d *Decoder) CheckName(n *yaml.Node, name string) {
	valid := name != "" && len(name) <= 63
	for i, r := range name {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		inner := (r == '-' || r == '_') && i > 0 && i < len(name)-1
		valid = valid && (letter || inner)
	}
	if !valid {
		d.Errorf(n, "%q is not a name: use 1 to 63 letters, digits, - or _, with a letter or digit at both ends", name)
	}
}

// List returns the elements of f, which may also be a single one; there is at
// least one.
func (d *Decoder) List(f Field, what string) []Field {
	if !f.Set() {
		return nil
	}
	if f.Value.Kind != yaml.SequenceNode {
		return []Field{f}
	}
	if len(f.Value.Content) == 0 {
		d.Invalid(f, "the list is empty: expected at least one %s", what)
	}
	elements := make([]Field, 0, len(f.Value.Content))
	for _, n := range f.Value.Content {
		elements = append(elements, Field{f.Key, n})
	}
	return elements
}

// Claim refuses f when its value was seen before in the same role, of which
// there is one for each value.
func (d *Decoder) Claim(f Field, value, role string) {
	key := role + " " + value
	if first, taken := d.places[key]; taken {
		d.Invalid(f, "%s is already %s, at %s", value, role, d.At(first))
		return
	}
	d.places[key] = d.Place(f.Value)
}

// Describe says what n is, in an operator's words.
func Describe(n *yaml.Node) string {
	switch {
	case IsNull(n):
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

// IsNull reports whether n is a missing value.
func IsNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
