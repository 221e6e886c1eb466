// Package page is the status page: its files, and the feed of what it shows.
package page

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var static embed.FS

// types are those of the files.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// file returns the name of what a path stands for.
func file(urlPath string) string {
	if urlPath == "/" {
		return "static/index.html"
	}
	return "static" + urlPath
}

// Has reports whether a path is one of the page's own files, which say nothing of
// the node.
func Has(urlPath string) bool {
	if !strings.HasPrefix(urlPath, "/") || path.Clean(urlPath) != urlPath {
		return false
	}
	info, err := fs.Stat(static, file(urlPath))
	return err == nil && info.Mode().IsRegular()
}

// Handler serves the page's files.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Has(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		name := file(r.URL.Path)
		text, err := static.ReadFile(name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", types[path.Ext(name)])
		// The client may have gone; there is nobody left to tell.
		_, _ = w.Write(text)
	})
}
