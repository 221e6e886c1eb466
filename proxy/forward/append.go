package forward

import (
	"net/netip"
	"strconv"
)

// Append appends the fields that the request is passed on with, each with its line
// end, to dst and returns it. They are the same each time, for one attempt or more,
// and belong behind those that Take has let through.
func (r *Request) Append(dst []byte) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	for i := len(r.hops) - 1; i >= 0; i-- {
		dst = appendNode(dst, r.hops[i])
		dst = append(dst, ", "...)
	}
	dst = appendNode(dst, hop{addr: r.arrival.Peer})
	dst = append(dst, "\r\nX-Forwarded-Proto: "...)
	dst = append(dst, r.proto...)
	if r.host != nil {
		dst = append(dst, "\r\nX-Forwarded-Host: "...)
		dst = append(dst, r.host...)
	}
	dst = append(dst, "\r\nX-Forwarded-Port: "...)
	dst = strconv.AppendUint(dst, uint64(r.port), 10)
	if r.client.IsValid() {
		dst = append(dst, "\r\nX-Real-IP: "...)
		dst = r.client.AppendTo(dst)
	}
	if len(r.lines[forwarded]) > 0 {
		dst = r.appendForwarded(dst)
	}
	dst = append(dst, "\r\nVia: 1."...)
	dst = strconv.AppendUint(dst, uint64(r.arrival.Minor), 10)
	dst = append(dst, ' ')
	dst = append(dst, r.policy.Pseudonym...)
	dst = append(dst, "\r\n"...)
	if r.policy.RequestID == "" {
		return dst
	}
	dst = append(dst, r.policy.RequestID...)
	dst = append(dst, ": "...)
	dst = append(dst, r.id...)
	return append(dst, "\r\n"...)
}

// appendNode appends h as X-Forwarded-For has it: IPv6 without brackets.
func appendNode(dst []byte, h hop) []byte {
	switch {
	case h.addr.IsValid():
		return h.addr.AppendTo(dst)
	case h.name != nil:
		return append(dst, h.name...)
	default:
		return append(dst, "unknown"...)
	}
}

// appendForwarded appends Forwarded, which says the same as the others: the hops,
// and with the client how its request was.
func (r *Request) appendForwarded(dst []byte) []byte {
	dst = append(dst, "\r\nForwarded: "...)
	for i := len(r.hops) - 1; i >= -1; i-- {
		h := hop{addr: r.arrival.Peer}
		if i >= 0 {
			h = r.hops[i]
		}
		dst = append(dst, "for="...)
		dst = appendQuotedNode(dst, h)
		if i == r.near {
			dst = append(dst, ";proto="...)
			dst = append(dst, r.proto...)
			dst = appendHost(dst, r.host)
		}
		if i >= 0 {
			dst = append(dst, ", "...)
		}
	}
	return dst
}

// appendQuotedNode appends h as Forwarded has it (RFC 7239, section 6): IPv6 in
// brackets, and so in quotes.
func appendQuotedNode(dst []byte, h hop) []byte {
	if h.addr.Is6() {
		return append(appendBracketed(append(dst, '"'), h.addr), '"')
	}
	return appendNode(dst, h)
}

func appendBracketed(dst []byte, addr netip.Addr) []byte {
	return append(addr.AppendTo(append(dst, '[')), ']')
}

// appendHost appends the host, in quotes where it is no token.
func appendHost(dst, host []byte) []byte {
	if host == nil {
		return dst
	}
	dst = append(dst, ";host="...)
	if validToken(host) {
		return append(dst, host...)
	}
	dst = append(dst, '"')
	dst = append(dst, host...)
	return append(dst, '"')
}
