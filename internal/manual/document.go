package manual

import (
	"regexp"
	"strings"
)

// Heading is what is above a page that Document makes.
type Heading struct {
	Name    string // such as tandem.yaml
	Section int
	Summary string // what it is, in a few words
	Version string
}

// Document returns a manual page with what markdown says: headings, paragraphs,
// lists, tables, and blocks of code.
func Document(h Heading, markdown string) []byte {
	var p page
	p.title(h.Name, h.Section, h.Version)
	p.macro("SH", "NAME")
	p.line(escape(h.Name) + ` \- ` + escape(h.Summary))
	p.macro("SH", "DESCRIPTION")
	d := document{page: &p}
	for l := range strings.Lines(markdown) {
		d.take(strings.TrimSuffix(l, "\n"))
	}
	d.end()
	return p.Bytes()
}

// document is a page on its way from Markdown.
type document struct {
	page *page
	code []string // lines of an open block of code; nil: none is open
	rows []string // of an open table
	text []string // lines of an open paragraph
}

func (d *document) take(l string) {
	fence := strings.HasPrefix(strings.TrimSpace(l), "```")
	switch {
	case d.code != nil && !fence:
		d.code = append(d.code, l)
	case d.code != nil:
		d.page.example(d.code[1:])
		d.code = nil
	case fence:
		d.end()
		d.code = []string{l}
	case strings.HasPrefix(l, "# "): // the title of the page
		d.end()
	case strings.HasPrefix(l, "#"):
		d.end()
		d.page.macro("SH", strings.ToUpper(plain(strings.TrimLeft(l, "# "))))
	case strings.HasPrefix(l, "|"):
		d.paragraph()
		d.rows = append(d.rows, l)
	case strings.TrimSpace(l) == "":
		d.end()
	case strings.HasPrefix(l, "- "):
		d.end()
		d.text = []string{"* " + l[len("- "):]}
	default:
		d.text = append(d.text, l)
	}
}

// end closes what is open; a block of code that nobody closes ends with the page.
func (d *document) end() {
	d.paragraph()
	if len(d.rows) > 0 {
		d.page.macro("PP")
		d.table()
	}
	if len(d.code) > 1 {
		d.page.example(d.code[1:])
	}
	d.rows, d.code = nil, nil
}

func (d *document) paragraph() {
	if len(d.text) == 0 {
		return
	}
	d.page.macro("PP")
	d.page.text(plain(strings.Join(d.text, "\n")))
	d.text = nil
}

// table writes each row as a term and what is said of it.
func (d *document) table() {
	for i, row := range d.rows {
		cells := strings.Split(strings.Trim(row, "| "), "|")
		if i < 2 && strings.Trim(row, "|-: ") == "" || i == 0 && len(d.rows) > 1 {
			continue // the head, and the line below
		}
		for j := range cells {
			cells[j] = plain(strings.TrimSpace(cells[j]))
		}
		d.page.term(cells[0], strings.Join(cells[1:], "; "))
	}
}

// link is one of Markdown, whose text is enough on paper.
var link = regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`)

// plain is s without the marks of Markdown.
func plain(s string) string {
	return strings.NewReplacer("`", "", "**", "").Replace(link.ReplaceAllString(s, "$1"))
}
