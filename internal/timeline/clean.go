package timeline

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of the texts of an event, in bytes.
const (
	maxName     = 256 // of a node, a kind and a subject
	maxWhat     = 1 << 10
	maxEvidence = 4 << 10
)

// maxNumber bounds the numbers of events: far beyond milliseconds since 1970, it leaves
// room to count on, and is exact in JSON.
const maxNumber = 1 << 53

// cleaned returns e as every node accepts it: with texts of one line that are not
// too long.
func cleaned(e Event) Event {
	e.Subject, e.What, e.Evidence = line(e.Subject, maxName), line(e.What, maxWhat), line(e.Evidence, maxEvidence)
	e.At = e.At.Round(0).UTC() // without a monotonic clock, which no other process knows
	return e
}

// line returns text as one printable line of at most most bytes.
func line(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("...")], "") + "..."
}

// latest is the last time that is believed: beyond it, JSON has no years.
var latest = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// valid refuses what no node says. Texts of more than a line are refused too: they
// are shown on terminals.
func valid(e Event) error {
	switch {
	case e.Boot == 0 || e.Seq == 0:
		return errors.New("it has no number")
	case e.Boot > maxNumber || e.Seq > maxNumber:
		return errors.New("its number is out of range")
	case e.Kind == "" || e.What == "":
		return errors.New("it says nothing")
	case e.At.Before(time.Unix(0, 0)) || e.At.After(latest):
		return fmt.Errorf("its time %v is out of range", e.At)
	}
	for _, t := range []struct {
		text string
		most int
	}{{e.Node, maxName}, {string(e.Kind), maxName}, {e.Subject, maxName}, {e.What, maxWhat}, {e.Evidence, maxEvidence}} {
		if t.text != line(t.text, t.most) {
			return fmt.Errorf("%.40q... is not a line of at most %d bytes", t.text, t.most)
		}
	}
	return nil
}
