package config

import (
	"bytes"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// block returns an empty map that is written one entry a line.
func block() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

// flow returns an empty map that is written as {a: b}.
func flow() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle} }

// put adds an entry to the map n.
func put(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, text(key), value)
}

// line returns a list that is written as [a, b].
func line[T any](list []T, format func(T) string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range list {
		n.Content = append(n.Content, text(format(v)))
	}
	return n
}

// text returns a text; the encoder quotes it where it would mean another type.
func text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

func integer[T ~int | ~uint8 | ~uint16](v T) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(v)}
}

func boolean(v bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}
}

func duration(v time.Duration) *yaml.Node { return text(formatDuration(v)) }

// size returns a number of bytes, or the 0 that means none.
func size(v int64) *yaml.Node { return quantity(v, formatSize) }

// rate returns a number of bytes a second, or the 0 that means none.
func rate(v int64) *yaml.Node { return quantity(v, formatRate) }

func quantity(v int64, format func(int64) string) *yaml.Node {
	if v == 0 {
		return integer(0)
	}
	return text(format(v))
}

func encode(root *yaml.Node) []byte {
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
