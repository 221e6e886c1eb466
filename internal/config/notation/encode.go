package notation

import (
	"bytes"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// Block returns an empty map that is written one entry a line.
func Block() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

// Flow returns an empty map that is written as {a: b}.
func Flow() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle} }

// List returns an empty list that is written one element a line.
func List() *yaml.Node { return &yaml.Node{Kind: yaml.SequenceNode} }

// Put adds an entry to the map n.
func Put(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, Text(key), value)
}

// Line returns a list that is written as [a, b].
func Line[T any](list []T, format func(T) string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range list {
		n.Content = append(n.Content, Text(format(v)))
	}
	return n
}

// Text returns a text; the encoder quotes it where it would mean another type.
func Text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// Quoted returns a text that is written in one line, whatever is in it.
func Quoted(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
}

// Integer returns a number.
func Integer[T ~int | ~uint8 | ~uint16](v T) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(v)}
}

// Boolean returns true or false.
func Boolean(v bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}
}

// Duration returns a duration.
func Duration(v time.Duration) *yaml.Node { return Text(FormatDuration(v)) }

// Size returns a number of bytes, or the 0 that means none.
func Size(v int64) *yaml.Node { return quantity(v, FormatSize) }

// Rate returns a number of bytes a second, or the 0 that means none.
func Rate(v int64) *yaml.Node { return quantity(v, FormatRate) }

func quantity(v int64, format func(int64) string) *yaml.Node {
	if v == 0 {
		return Integer(0)
	}
	return Text(format(v))
}

// Encode returns the text of the map root.
func Encode(root *yaml.Node) []byte {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		panic(fmt.Sprintf("config: encode own tree: %v", err))
	}
	if err := enc.Close(); err != nil {
		panic(fmt.Sprintf("config: encode own tree: %v", err))
	}
	return b.Bytes()
}
