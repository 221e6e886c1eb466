package telemetry

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// cutMark ends a text of which a part was cut off.
const cutMark = "…"

// member is a key of an object with its value, both as they are written.
type member struct{ key, value []byte }

// shorten returns line, which is a JSON object and a line end, with its longest values
// cut until all of it is at most limit bytes long. What is no object is left as it is.
func shorten(line []byte, limit int) []byte {
	if len(line) <= limit {
		return line
	}
	members, ok := membersOf(line)
	if !ok {
		return line
	}
	for {
		length := 2 // braces; the line end takes the place of the comma that the last one lacks
		longest := 0
		for i, m := range members {
			length += len(m.key) + len(m.value) + 2
			if len(m.value) > len(members[longest].value) {
				longest = i
			}
		}
		value := &members[longest].value
		if length <= limit || len(*value) <= len(cutMark)+2 {
			break
		}
		*value = cut(*value, length-limit)
	}
	return joined(members)
}

// membersOf takes an object apart.
func membersOf(line []byte) (all []member, ok bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, false
		}
		all = append(all, member{quoted(key.(string)), value})
	}
	return all, len(all) > 0
}

// cut makes a value, as it is written, shorter by about excess bytes. What is no text
// becomes one.
func cut(value []byte, excess int) []byte {
	var text string
	if json.Unmarshal(value, &text) != nil {
		text = string(value)
	}
	// As if escapes were everywhere alike: where they are not, more than one turn is needed.
	excess = max(excess*len(text)/len(value), 1)
	keep := max(0, len(text)-excess-len(cutMark))
	for keep > 0 && !utf8.RuneStart(text[keep]) {
		keep--
	}
	return quoted(text[:keep] + cutMark)
}

func joined(members []member) []byte {
	out := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, m.key...), ':'), m.value...)
	}
	return append(out, '}', '\n')
}

// quoted writes a text as zap does: < and & stand for themselves.
func quoted(text string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text always has a form
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}
