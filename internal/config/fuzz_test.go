package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/config"
)

// FuzzParse checks that no input panics, that what is refused is refused with
// places in it, and that what is accepted survives being written out.
func FuzzParse(f *testing.F) {
	bad, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(bad, goodFiles(f)...) {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := config.Parse("fuzz.yaml", src)
		if err == nil {
			checkRoundTrip(t, c)
			return
		}
		var errs config.Errors
		if c != nil || !errors.As(err, &errs) || len(errs) == 0 {
			t.Fatalf("Parse = %v, %v; want no config, and Errors", c, err)
		}
		for i, e := range errs {
			if e.File != "fuzz.yaml" || e.Line < 1 || e.Column < 1 || e.Message == "" {
				t.Errorf("error without place or message: %#v", e)
			}
			if i > 0 && (e.Line < errs[i-1].Line || e.Line == errs[i-1].Line && e.Column < errs[i-1].Column) {
				t.Errorf("%d:%d is reported after %d:%d", e.Line, e.Column, errs[i-1].Line, errs[i-1].Column)
			}
			if lines := strings.Split(e.Excerpt, "\n"); len(lines) != 2 || !strings.Contains(lines[1], "^") {
				t.Errorf("excerpt %q has no line with carets", e.Excerpt)
			}
		}
	})
}
