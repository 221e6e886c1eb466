package source

import (
	"fmt"
	"strings"
)

// Instead returns what a message about the unknown word got goes on with: the
// one of options that was likely meant, else all of them.
func Instead(got string, options []string) string {
	if s := Suggestion(got, options); s != "" {
		return s
	}
	if len(options) == 0 {
		return ": none is defined"
	}
	if more := len(options) - most; more > 0 {
		return fmt.Sprintf(", expected %s or one of %d more", strings.Join(options[:most], ", "), more)
	}
	return ", expected " + Enumerate(options, "or")
}

// most bounds how many words a message lists: names may be thousands.
const most = 30

// Suggestion asks whether one of options was meant, if one is near.
func Suggestion(got string, options []string) string {
	if near, ok := nearest(got, options); ok {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ""
}

// Enumerate joins words as a sentence does, with conjunction before the last.
func Enumerate(words []string, conjunction string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + conjunction + " " + words[last]
}

// nearest returns the one of options that is fewest edits from got, when those
// are so few that got is likely a slip: one for every three characters.
func nearest(got string, options []string) (string, bool) {
	const longest = 64 // the distance takes quadratic time
	if len(got) > longest {
		return "", false
	}
	best, least, tied := "", max(1, len(got)/3)+1, false
	for _, option := range options {
		if len(option) > longest {
			continue
		}
		switch n := distance(strings.ToLower(got), strings.ToLower(option)); {
		case n < least:
			best, least, tied = option, n, false
		case n == least && best != "":
			tied = true
		}
	}
	return best, best != "" && !tied
}

// distance returns the number of insertions, deletions, substitutions and
// transpositions of neighbours that turn a into b, editing no part twice
// (optimal string alignment).
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	var before []int // two rows back
	prev := make([]int, len(to)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(from); i++ {
		row := make([]int, len(to)+1)
		row[0] = i
		for j := 1; j <= len(to); j++ {
			cost := 1
			if from[i-1] == to[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && from[i-1] == to[j-2] && from[i-2] == to[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev = prev, row
	}
	return prev[len(to)]
}
