package notation

import (
	"fmt"
	"strings"
)

// ParseHost returns the host name s in lower case: labels of RFC 1123, section 2.1,
// which may hold underscores, as the names of services do.
func ParseHost(s string) (string, error) {
	const maxName, maxLabel = 253, 63 // RFC 1035, section 2.3.4
	lower := strings.ToLower(s)
	switch {
	case strings.ContainsFunc(s, func(r rune) bool { return r > '~' }):
		return "", fmt.Errorf("%q holds letters that host names have in punycode alone: write it with xn--", s)
	case s == "" || len(s) > maxName:
		return "", fmt.Errorf("%q is not a host name: it has 1 to %d characters", s, maxName)
	}
	for label := range strings.SplitSeq(lower, ".") {
		alien := strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
		if alien || label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return "", fmt.Errorf("%q is not a host name: between its dots are 1 to %d letters, digits, - or _, with no - at either end", s, maxLabel)
		}
	}
	return lower, nil
}
