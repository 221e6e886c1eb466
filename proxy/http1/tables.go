package http1

// The classes of bytes, as bits of an entry in classes.
const (
	classToken      = 1 << iota // tchar (RFC 9110, section 5.6.2)
	classUnderscore             // of the tokens, the one that CGI cannot tell from a dash
	classPath                   // may stand in a path
	classQuery                  // may stand in a query
	classHost                   // may stand in the name of a host
	classQuoted                 // qdtext or what may be quoted by a backslash (RFC 9110, section 5.6.4)
)

// classes tells the classes of a byte.
var classes = classify()

func classify() (t [256]uint8) {
	for c := range t {
		visible := c > ' ' && c < 0x7f
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		switch {
		case letter || digit:
			t[c] |= classToken | classHost
		case c == '_':
			t[c] |= classToken | classUnderscore | classHost
		case c == '-' || c == '.' || c == '~':
			t[c] |= classToken | classHost
		case c == '!' || c == '#' || c == '$' || c == '%' || c == '&' || c == '\'' || c == '*' || c == '+' || c == '^' || c == '`' || c == '|':
			t[c] |= classToken
		}
		// A fragment is never sent (RFC 9112, section 3.2). Browsers send some
		// characters bare that RFC 3986 wants encoded; they mislead nobody. A
		// backslash in a path does: some servers take it for a slash.
		if visible && c != '#' {
			t[c] |= classQuery
			if c != '\\' && c != '?' {
				t[c] |= classPath
			}
		}
		if visible || c == ' ' || c == '\t' || c >= 0x80 {
			t[c] |= classQuoted
		}
	}
	return t
}

// statuses holds the registered reason phrases.
var statuses = [600]string{
	100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints",
	200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content",
	205: "Reset Content", 206: "Partial Content", 207: "Multi-Status", 208: "Already Reported", 226: "IM Used",
	300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
	305: "Use Proxy", 307: "Temporary Redirect", 308: "Permanent Redirect",
	400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
	405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
	409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large",
	414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed",
	421: "Misdirected Request", 422: "Unprocessable Content", 423: "Locked", 424: "Failed Dependency",
	425: "Too Early", 426: "Upgrade Required", 428: "Precondition Required", 429: "Too Many Requests",
	431: "Request Header Fields Too Large", 451: "Unavailable For Legal Reasons",
	500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
	504: "Gateway Timeout", 505: "HTTP Version Not Supported", 506: "Variant Also Negotiates",
	507: "Insufficient Storage", 508: "Loop Detected", 510: "Not Extended", 511: "Network Authentication Required",
}

// StatusText returns the reason phrase that is registered for status, or "".
func StatusText(status int) string {
	if status < 0 || status >= len(statuses) {
		return ""
	}
	return statuses[status]
}
