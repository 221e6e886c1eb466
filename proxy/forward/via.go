package forward

import "bytes"

// names reports whether an entry of the Via lines is pseudonym's: the protocol, and
// who received the request by it (RFC 9110, section 7.6.3).
func names(lines [][]byte, pseudonym string) bool {
	for entry := range backwards(lines) {
		i := bytes.IndexAny(entry, " \t")
		if i < 0 {
			continue
		}
		by := trim(entry[i:])
		if end := bytes.IndexAny(by, " \t("); end >= 0 { // a comment may follow
			by = by[:end]
		}
		if len(by) == len(pseudonym) && bytes.EqualFold(by, []byte(pseudonym)) {
			return true
		}
	}
	return false
}
