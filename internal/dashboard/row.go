package dashboard

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// mood is how a cell stands out. What it says, its text says too: a terminal may have no
// colours.
type mood uint8

const (
	plain mood = iota
	title
	good
	warning
	alarm
)

// cell is a part of a row. One that has changed of late is shown so.
type cell struct {
	text  string
	mood  mood
	fresh bool
}

// row is a line of cells, which are in columns with those of the rows around it.
type row []cell

// section is rows with columns of their own, the most important ones first.
type section struct {
	heading row // may be empty
	rows    []row
	least   int // of rows that stay when there is not room for all
}

// SGR sequences (ECMA-48, 8.3.117).
const (
	sgrOff     = "\x1b[0m"
	sgrReverse = "\x1b[7m"
)

func (m mood) sgr() string {
	switch m {
	case title:
		return "\x1b[1m"
	case good:
		return "\x1b[32m"
	case warning:
		return "\x1b[33m"
	case alarm:
		return "\x1b[1;31m"
	}
	return ""
}

// widths returns the width of each column but the last, which needs none.
func (s section) widths() []int {
	var widths []int
	for _, r := range append([]row{s.heading}, s.rows...) {
		for i, c := range r {
			if i == len(r)-1 {
				break
			}
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	return widths
}

// line lays a row out in columns, in width characters at most; 0: as many as it takes.
func (r row) line(widths []int, width int, styled bool) string {
	const gap = 2
	var b strings.Builder
	used := 0
	put := func(text string, sgr string) {
		text, n := fit(text, width-used, width > 0)
		used += n
		if sgr != "" && styled && text != "" {
			text = sgr + text + sgrOff
		}
		b.WriteString(text)
	}
	for i, c := range r {
		sgr := c.mood.sgr()
		if c.fresh {
			sgr += sgrReverse
		}
		put(printable(c.text), sgr)
		if i < len(r)-1 {
			put(strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(c.text))+gap), "")
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// fit returns as much of text as has room, with a mark where it was cut, and how many
// characters that is.
func fit(text string, room int, limited bool) (string, int) {
	n := utf8.RuneCountInString(text)
	if !limited || n <= room {
		return text, n
	}
	if room <= 0 {
		return "", 0
	}
	return string([]rune(text)[:room-1]) + "…", room
}

// printable is text without what would move the cursor: a server's reason may hold
// anything.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
