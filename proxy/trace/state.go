package trace

import "bytes"

// maxMembers is how many members the lists of all fields tracestate may have together.
const maxMembers = 32

// State judges the fields tracestate of one request, which are one list. What is in
// them belongs to others; we pass it on as it came.
type State struct{ members int }

// Take reports whether the list is still well formed when line goes on with it
// (https://www.w3.org/TR/trace-context/#tracestate-header).
func (s *State) Take(line []byte) bool {
	for more := true; more; {
		var member []byte
		member, line, more = bytes.Cut(line, []byte{','})
		member = bytes.Trim(member, " \t")
		if len(member) == 0 {
			continue
		}
		key, value, ok := bytes.Cut(member, []byte{'='})
		if s.members++; !ok || s.members > maxMembers || !isKey(key) || !isValue(value) {
			return false
		}
	}
	return true
}

// isKey reports whether b is the key of a member: a name, or that of one of many
// tenants and of their system.
func isKey(b []byte) bool {
	tenant, system, shared := bytes.Cut(b, []byte{'@'})
	if !shared {
		return isName(b, 256) && b[0] >= 'a'
	}
	return isName(tenant, 241) && isName(system, 14) && system[0] >= 'a'
}

// isName reports whether b begins with a letter or a digit, and has what may follow, up
// to most in all.
func isName(b []byte, most int) bool {
	if len(b) == 0 || len(b) > most {
		return false
	}
	for i, c := range b {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '-' || c == '*' || c == '/'):
		default:
			return false
		}
	}
	return true
}

func isValue(b []byte) bool {
	if len(b) == 0 || len(b) > 256 {
		return false
	}
	for _, c := range b {
		if c < ' ' || c > '~' || c == '=' {
			return false
		}
	}
	return true
}
