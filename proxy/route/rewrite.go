package route

import (
	"bytes"
	"strings"
)

// Rewrites reports whether a route changes the path of what it forwards.
func (t *Table) Rewrites(index int) bool { return t.routes[index].prefix != nil }

// AppendTarget appends the target, path and query, with which a request that a route
// has matched is forwarded. It begins with one slash. In the place of the longest
// prefix of the route that matches, or if none does, of the first slash, is that of
// the rewrite. The rest stays as it was spelt; but dot segments are resolved first, so
// that nothing leads out of the new prefix.
//
// If the route does not rewrite, the target is that of the request.
func (t *Table) AppendTarget(dst []byte, index int, r Request) []byte {
	path, query := r.Path(), r.Query()
	if c := &t.routes[index]; c.prefix != nil && len(path) > 0 && path[0] == '/' {
		scratch := t.scratch.Get().(*[]byte)
		*scratch = appendCanonical((*scratch)[:0], path)
		dst = appendPath(dst, c.prefix, restOf(path, *scratch, c.longestOf(*scratch)))
		t.scratch.Put(scratch)
	} else {
		dst = append(dst, path...)
	}
	if len(query) > 0 {
		dst = append(append(dst, '?'), query...)
	}
	return dst
}

// longestOf returns the longest of the rewritten prefixes that path begins with.
func (c *compiled) longestOf(path []byte) string {
	longest := ""
	for _, p := range c.matched {
		if len(p) > len(longest) && hasPrefix(path, p) {
			longest = p
		}
	}
	return longest
}

// hasPrefix reports whether path, which is canonical, begins with the segments of
// prefix, which is too but has no slash at the end.
func hasPrefix(path []byte, prefix string) bool {
	return len(path) >= len(prefix) && string(path[:len(prefix)]) == prefix && (len(path) == len(prefix) || path[len(prefix)] == '/')
}

// restOf returns what follows the segments of prefix in path, as it is spelt; or in its
// canonical form, if path has dot segments.
func restOf(path, canon []byte, prefix string) []byte {
	if hasDots(path) {
		return canon[len(prefix):]
	}
	at := 0
	for range strings.Count(prefix, "/") {
		// From the end of a segment, behind which its parameters may be, to the end of
		// the next one that is not empty. The parameters of the last are of the rest.
		for named := false; !named; {
			at += bytes.IndexByte(path[at:], '/') + 1
			for ; at < len(path) && path[at] != '/' && path[at] != ';'; at++ {
				named = true
			}
		}
	}
	return path[at:]
}

// hasDots reports whether path has dot segments, however they are spelt.
func hasDots(path []byte) bool {
	for segment := range bytes.SplitSeq(path, []byte("/")) {
		if segment, _, _ = bytes.Cut(segment, []byte(";")); isDotsEncoded(segment) {
			return true
		}
	}
	return false
}

// isDotsEncoded reports whether a segment is "." or "..", decoded.
func isDotsEncoded(segment []byte) bool {
	if len(segment) > len("%2e%2e") {
		return false
	}
	var decoded [3 * len("%2e%2e")]byte
	return isDots(appendSegment(decoded[:0], segment))
}

// appendPath appends prefix, and rest with one slash between them.
func appendPath(dst, prefix, rest []byte) []byte {
	dst = append(dst, prefix...)
	if prefix[len(prefix)-1] == '/' {
		return append(dst, bytes.TrimLeft(rest, "/")...)
	}
	if len(rest) > 0 && rest[0] != '/' && rest[0] != ';' {
		dst = append(dst, '/')
	}
	return append(dst, rest...)
}
