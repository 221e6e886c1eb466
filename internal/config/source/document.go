package source

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// errDocuments is what parse returns for a file of several documents.
var errDocuments = errors.New("a second YAML document starts here: the configuration is one document, remove the ---")

// Root returns the root of the YAML tree, or reports why there is none and returns
// nil: of a file without content, that it is empty.
func (f *File) Root(empty string) *yaml.Node {
	if at := invalidUTF8(f.text); at >= 0 {
		f.Report(end(f.text[:at]), "not UTF-8 text: byte 0x%02x", f.text[at])
		return nil
	}
	n, err := parse(bytes.NewReader(f.text))
	switch {
	case errors.Is(err, io.EOF):
		f.Report(Place{1, 1, 1}, "%s", empty)
	case err != nil:
		f.syntaxError(err)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		f.Report(Place{1, 1, 1}, "%s", empty)
	case f.refuseReferences(n):
	default:
		return n
	}
	return nil
}

// parse returns the root of the only document of r, or io.EOF when there is
// none.
func parse(r io.Reader) (*yaml.Node, error) {
	dec := yaml.NewDecoder(r)
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, errDocuments
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return doc.Content[0], nil
}

// refuseReferences reports what makes a file mean more than it shows, and
// whether that leaves values unknown. Without aliases and merge keys the work
// that a file causes is bounded by its size.
func (f *File) refuseReferences(n *yaml.Node) (unknown bool) {
	switch {
	case n.Kind == yaml.AliasNode:
		f.Report(f.Place(n), "aliases are not supported: write the value out")
		return true
	case n.Tag == "!!merge":
		f.Report(f.Place(n), "merge keys are not supported: write the keys out")
		return true
	case n.Anchor != "":
		f.Report(f.Place(n), "anchors are not supported: write the value out where it is needed")
	case n.Style&yaml.TaggedStyle != 0:
		f.Report(f.Place(n), "tags are not supported: write the value alone")
	}
	for _, child := range n.Content {
		unknown = f.refuseReferences(child) || unknown
	}
	return unknown
}

// syntaxHints say what usually lies behind a message of the YAML parser.
var syntaxHints = map[string]string{
	"mapping values are not allowed in this context":         `check the indentation, and quote a value that contains ": "`,
	"did not find expected node content":                     `is a value missing? quote one that begins with ":", such as ":80"`,
	"did not find expected key":                              "check the indentation, and what stands before this line",
	"did not find expected '-' indicator":                    "check the indentation",
	"could not find expected ':'":                            `is a ":" missing after a key?`,
	"did not find expected ',' or ']'":                       "is a [ not closed? quote a value that holds , or ?",
	"did not find expected ',' or '}'":                       "is a { not closed? quote a value that holds , or ?",
	"found unexpected end of stream":                         "is a quote not closed?",
	"found character that cannot start any token":            "quote a value that begins with @, % or a backtick",
	"block sequence entries are not allowed in this context": "write the list on the lines below its key, or as [a, b]",
	"found unknown escape character":                         `in "double quotes" a backslash is written \\`,
	"did not find expected <document start>":                 "the configuration ends at the line before this one",
	"did not find expected alphabetic or numeric character":  "quote a value that begins with * or &",
}

// syntaxError reports the parser's err.
func (f *File) syntaxError(err error) {
	at := f.wholeLine(f.locate())
	if errors.Is(err, errDocuments) {
		f.Report(at, "%s", err)
		return
	}
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if numbered, ok := strings.CutPrefix(message, "line "); ok {
		_, message, _ = strings.Cut(numbered, ": ")
	}
	hint := syntaxHints[message]
	line := f.line(at.line)
	for i, r := range line {
		if r == '\t' {
			at, hint = Place{at.line, i + 1, 1}, "indent with spaces"
		}
		if !unicode.IsSpace(r) {
			break
		}
	}
	if hint != "" {
		message += "; " + hint
	}
	f.Report(at, "not YAML: %s", message)
}

// locate returns the line that breaks the file. The parser's own number belongs to
// different marks from message to message, and is missing from some. What
// follows the longest beginning of the file that parses is where the operator
// has to look: the stray line, or the one with the bracket that nothing closes.
func (f *File) locate() int {
	r := &slowReader{rest: f.text}
	_, _ = parse(r) // fails again: what counts is how far it gets
	last := end(f.text[:len(f.text)-len(r.rest)]).line

	// Going back is worth so many bytes of parsing, and not quadratic time.
	budget := 512 << 10
	for line := last; line > 1 && budget > 0; line-- {
		head := f.head(line - 1)
		budget -= len(head)
		if _, err := parse(strings.NewReader(head)); err == nil || errors.Is(err, io.EOF) {
			return line
		}
	}
	if budget > 0 {
		return 1
	}
	return last
}

// head returns the first n lines.
func (f *File) head(n int) string {
	var b strings.Builder
	for _, line := range f.lines[:n] {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// end returns the place behind the beginning head of the file.
func end(head []byte) Place {
	lines := split(head)
	return Place{line: len(lines), column: utf8.RuneCountInString(lines[len(lines)-1]) + 1, length: 1}
}

// wholeLine returns the place of the text of line n without its margins.
func (f *File) wholeLine(n int) Place {
	text := strings.TrimRightFunc(string(f.line(n)), unicode.IsSpace)
	body := strings.TrimLeftFunc(text, unicode.IsSpace)
	indent := utf8.RuneCountInString(text) - utf8.RuneCountInString(body)
	return Place{line: n, column: indent + 1, length: max(1, utf8.RuneCountInString(body))}
}

// slowReader returns one byte at a time, so that what is left of it tells how
// far its reader needed to look.
type slowReader struct{ rest []byte }

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest[:1])
	r.rest = r.rest[n:]
	return n, nil
}

// invalidUTF8 returns the offset of the first byte of b that is not UTF-8, or
// -1.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
