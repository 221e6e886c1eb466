package route

import (
	"fmt"
	"strings"

	"github.com/tandemlb/tandem/proxy"
)

// placeholders are what stands in a redirect for parts of the request.
var placeholders = [...]string{"{host}", "{path}", "{query}", "{uri}"}

// checkRedirect refuses a redirect whose host the path or the query of a request could
// change.
func checkRedirect(to string) error {
	rest, absolute := strings.CutPrefix(to, "https://")
	if !absolute {
		rest, absolute = strings.CutPrefix(to, "http://")
	}
	switch {
	case !absolute && strings.HasPrefix(to, "/"):
		return nil
	case !absolute:
		return fmt.Errorf("redirect to %q: neither a path nor a URL of http or https", to)
	}
	end := len(rest)
	for _, s := range [...]string{"/", "?", "#", "{path}", "{uri}"} {
		if i := strings.Index(rest, s); i >= 0 {
			end = min(end, i)
		}
	}
	if end == 0 || strings.Contains(rest[:end], "{query}") {
		return fmt.Errorf("redirect to %q: its host must not come from the path or the query of a request", to)
	}
	return nil
}

// AppendLocation appends the value of the field Location with which r is redirected.
// Whatever the client sent, it is a URI reference of visible ASCII characters, and
// names no host but the one that the redirect names:
//
//   - What stands for a placeholder is encoded where it must be. Within a query, all
//     but {query} is encoded as a value is, so that it brings no parameters along, and
//     ?next={uri} gives back the whole.
//   - {path} and {uri} begin with a slash. If To has one before them, it is not doubled.
//   - A path that would begin with two slashes, which is to say with a host, begins
//     with /%2F instead.
//
// It reports false, and dst is returned as it was, if the redirect names {host} and
// the request no host, as HTTP/1.0 allows.
func AppendLocation(dst []byte, to *proxy.Redirect, r Request) ([]byte, bool) {
	l := location{dst: dst, from: len(dst), request: r}
	for rest := to.To; rest != ""; {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			l.literal(rest)
			break
		}
		l.literal(rest[:open])
		rest = rest[open:]
		size, ok := l.placeholder(rest)
		if !ok {
			return dst, false
		}
		if size == 0 {
			l.literal(rest[:1])
			size = 1
		}
		rest = rest[size:]
	}
	if out := l.dst[len(dst):]; len(out) >= 2 && out[0] == '/' && out[1] == '/' && !strings.HasPrefix(to.To, "//") {
		l.dst = append(l.dst, "%2"...) // room, to move what follows the slashes
		out = l.dst[len(dst):]
		copy(out[4:], out[2:])
		copy(out, "/%2F")
	}
	return l.dst, true
}

// location is a Location that is being written.
type location struct {
	dst     []byte
	from    int // where it begins
	request Request
	query   bool // what follows is part of a query
}

// literal appends a part of the redirect's own text.
func (l *location) literal(s string) {
	l.query = l.query || strings.Contains(s, "?")
	l.dst = appendURI(l.dst, s, isURI)
}

// placeholder appends what the placeholder at the start of s stands for, and returns
// its length, which is 0 if there is none. It reports false if nothing can stand there.
func (l *location) placeholder(s string) (size int, ok bool) {
	for _, p := range placeholders {
		if !strings.HasPrefix(s, p) {
			continue
		}
		query := l.request.Query()
		switch p {
		case "{host}":
			host := l.request.Host()
			l.part(host, isHost)
			return len(p), len(host) > 0
		case "{query}":
			l.dst = appendURI(l.dst, query, isQuery)
		case "{path}":
			l.path()
		case "{uri}":
			l.path()
			if len(query) > 0 {
				l.part([]byte("?"), isQuery)
				l.part(query, isQuery)
			}
		}
		return len(p), true
	}
	return 0, true
}

// path appends the path of the request, with a slash at its start.
func (l *location) path() {
	path := l.request.Path()
	if n := len(l.dst); n == l.from || l.dst[n-1] != '/' {
		l.dst = append(l.dst, '/')
	}
	if len(path) > 0 && path[0] == '/' {
		path = path[1:]
	}
	l.part(path, isPath)
}

// part appends a part of the request as it came, or within a query in such a way that
// it comes out again when the query is decoded.
func (l *location) part(b []byte, class uint8) {
	if !l.query {
		l.dst = appendURI(l.dst, b, class)
		return
	}
	for _, c := range b {
		if c == '/' {
			l.dst = append(l.dst, c)
		} else {
			l.dst = appendByte(l.dst, c, isUnreserved)
		}
	}
}
