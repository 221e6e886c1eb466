// Package source is the text of a configuration file: the YAML tree in it, the
// place of each node, and messages that show the line they are about. What the keys
// mean is not its concern.
package source

import (
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// An excerpt shows at most this many characters of a line, and this many of
// them before the offending one.
const (
	excerptWidth = 120
	excerptLead  = 60
)

// File is a configuration file as its lines, and what is wrong with it.
type File struct {
	name  string
	text  []byte
	lines []string
	errs  Errors

	// The line that was looked at last, by its characters: few are at all, but the only
	// one of a file may be, many times.
	seen  int
	runes []rune
}

// Place is a stretch of one line; line and column count from 1, as YAML does.
type Place struct{ line, column, length int }

// New returns the file of the content text, which messages call name.
func New(name string, text []byte) *File {
	return &File{name: name, text: text, lines: split(text)}
}

// Report adds an error about p.
func (f *File) Report(p Place, format string, args ...any) {
	f.errs = append(f.errs, Error{
		File:    f.name,
		Line:    p.line,
		Column:  p.column,
		Message: fmt.Sprintf(format, args...),
		Excerpt: f.excerpt(p),
	})
}

// Count returns the number of errors so far.
func (f *File) Count() int { return len(f.errs) }

// Err returns everything that was reported, in the order of the file, as Errors;
// or nil.
func (f *File) Err() error {
	if len(f.errs) == 0 {
		return nil
	}
	f.errs.sort()
	return f.errs
}

// At returns p as messages name it.
func (f *File) At(p Place) string { return fmt.Sprintf("%s:%d:%d", f.name, p.line, p.column) }

// split splits text exactly where the YAML scanner starts a new line (YAML 1.1,
// section 5.4), else its line numbers would name other lines here.
func split(text []byte) []string {
	s := strings.TrimPrefix(string(text), "\uFEFF")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
	return strings.Split(s, "\n")
}

// line returns the characters of line n, or nothing when there is no such line.
func (f *File) line(n int) []rune {
	if n < 1 || n > len(f.lines) {
		return nil
	}
	if n != f.seen {
		f.seen, f.runes = n, []rune(f.lines[n-1])
	}
	return f.runes
}

// Place returns the place of n's text as it is written in the file.
func (f *File) Place(n *yaml.Node) Place {
	p := Place{line: n.Line, column: n.Column, length: 1}
	line := f.line(n.Line)
	if n.Column < 1 || n.Column > len(line) {
		return p
	}
	rest := line[n.Column-1:]
	switch {
	case n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.Kind == yaml.AliasNode:
		p.length = wordLength(rest)
	case n.Kind != yaml.ScalarNode || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		p.length = quotedLength(rest)
	default:
		p.length = max(1, min(len([]rune(n.Value)), len(rest)))
	}
	return p
}

func wordLength(text []rune) int {
	for i, r := range text {
		if unicode.IsSpace(r) || strings.ContainsRune(",]}", r) {
			return max(1, i)
		}
	}
	return len(text)
}

// quotedLength returns the length of the quoted text that begins text, with
// both quotes; one that goes on to the next line is cut there.
func quotedLength(text []rune) int {
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\':
			i++
		case quote == '\'' && text[i] == quote && i+1 < len(text) && text[i+1] == quote:
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text)
}

// excerpt returns the line of p, and carets under p where a terminal shows it:
// tabs stay tabs on both lines, and what is shown two cells wide gets two.
func (f *File) excerpt(p Place) string {
	line := f.line(p.line)
	from := 0
	if len(line) > excerptWidth {
		from = min(max(0, p.column-1-excerptLead), len(line)-excerptWidth)
	}
	to := min(len(line), from+excerptWidth)

	var shown, under strings.Builder
	if from > 0 {
		shown.WriteString("…")
		under.WriteString(" ")
	}
	first, last := p.column-1, p.column-2+p.length
	for i := from; i < to; i++ {
		r := visible(line[i])
		shown.WriteRune(r)
		switch {
		case i > last:
		case i >= first:
			under.WriteString(strings.Repeat("^", cells(r)))
		case r == '\t':
			under.WriteRune(r)
		default:
			under.WriteString(strings.Repeat(" ", cells(r)))
		}
	}
	if !strings.Contains(under.String(), "^") { // behind the line, or on what has no width
		under.WriteString("^")
	}
	if to < len(line) {
		shown.WriteString("…")
	}
	return fmt.Sprintf("%4d | %s\n     | %s", p.line, shown.String(), under.String())
}

// visible returns r, or a replacement for what a terminal would hide or obey.
func visible(r rune) rune {
	if r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// cells returns how many columns of a terminal r takes.
func cells(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.Is(wide, r):
		return 2
	default:
		return 1
	}
}

// wide holds the scripts and symbols of East Asian Width W and F (Unicode
// Standard Annex #11), by block.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115F, Stride: 1},
		{Lo: 0x2E80, Hi: 0x303E, Stride: 1},
		{Lo: 0x3041, Hi: 0xA4CF, Stride: 1},
		{Lo: 0xA960, Hi: 0xA97F, Stride: 1},
		{Lo: 0xAC00, Hi: 0xD7A3, Stride: 1},
		{Lo: 0xF900, Hi: 0xFAFF, Stride: 1},
		{Lo: 0xFE30, Hi: 0xFE6F, Stride: 1},
		{Lo: 0xFF01, Hi: 0xFF60, Stride: 1},
		{Lo: 0xFFE0, Hi: 0xFFE6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1F300, Hi: 0x1F64F, Stride: 1},
		{Lo: 0x1F680, Hi: 0x1F6FF, Stride: 1},
		{Lo: 0x1F900, Hi: 0x1F9FF, Stride: 1},
		{Lo: 0x20000, Hi: 0x3FFFD, Stride: 1},
	},
}
