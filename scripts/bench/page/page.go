// Package page puts what benches measure into pages of the documentation.
package page

import (
	"fmt"
	"os"
	"strings"
)

// Table lays out rows in Markdown, the first being the heading.
func Table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
	return b.String()
}

// Save writes a file for which a flag has the path, if it has one.
func Save(path string, content []byte) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// Fill replaces what is between the two comments in a page that name a bench by text, if
// a flag has the path of one.
func Fill(path, bench, text string) error {
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	filled, err := fill(string(content), bench, text)
	if err != nil {
		return fmt.Errorf("fill %q: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(filled), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func fill(content, bench, text string) (string, error) {
	begin, end := fmt.Sprintf("<!-- %s: begin -->\n", bench), fmt.Sprintf("<!-- %s: end -->", bench)
	before, rest, found := strings.Cut(content, begin)
	if !found {
		return "", fmt.Errorf("it has no %q", strings.TrimSpace(begin))
	}
	_, after, found := strings.Cut(rest, end)
	if !found {
		return "", fmt.Errorf("it has no %q", end)
	}
	return before + begin + strings.TrimRight(text, "\n") + "\n" + end + after, nil
}
