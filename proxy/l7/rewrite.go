package l7

import (
	"net/http/httputil"
	"strings"
)

// rewrite makes the request that a server gets. Hop-by-hop fields and the
// forwarding fields of the client are gone already.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme = "http"
	// ReverseProxy re-encodes a query that net/url would not have written so.
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	r.Out.URL.Opaque = rawPath(r.In.RequestURI)
	// The values of the trailers arrive behind the body, in the map of In.
	r.Out.Trailer = r.In.Trailer
	// A server that refuses a body beforehand must not get it all the same, which
	// http.Transport sees to only if the connection is not to be used again (RFC
	// 9110, section 10.1.1).
	r.Out.Close = r.In.Header.Get("Expect") != ""
	r.SetXForwarded()
}

// rawPath returns the path of a request target, byte by byte as it was sent. It
// returns "" for a target that is not in origin-form (RFC 9112, section 3.2.1), or
// begins with two slashes, which net/url would take for an authority.
func rawPath(target string) string {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
		return ""
	}
	path, _, _ := strings.Cut(target, "?")
	return path
}
