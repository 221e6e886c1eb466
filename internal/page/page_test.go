package page

import (
	"io/fs"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestFilesOfThePage(t *testing.T) {
	for _, p := range []string{"/", "/index.html", "/app.js", "/style.css", "/icon.svg"} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest("GET", p, nil))
		if w.Code != 200 || w.Header().Get("Content-Type") == "" || !Has(p) {
			t.Errorf("%s: status %d, type %q", p, w.Code, w.Header().Get("Content-Type"))
		}
	}
	for _, p := range []string{"", "/static", "/..", "/../page.go", "//", "/none.js", "/./app.js", "app.js", "/app.js/", "/v1/status"} {
		if Has(p) {
			t.Errorf("%q is taken for a file of the page", p)
		}
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
	if w.Code != 405 {
		t.Errorf("POST: status %d", w.Code)
	}
}

// TestThePageStandsAlone finds what would make it ask another host, or read what a
// node says as markup.
func TestThePageStandsAlone(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|srcdoc|\sstyle=|\son[a-z]+=|https?://[^w]|@import|url\(`)
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if types[path.Ext(name)] == "" {
			t.Errorf("%s has no type", name)
		}
		text, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := forbidden.FindString(line); found != "" {
				t.Errorf("%s:%d: %q", name, i+1, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
