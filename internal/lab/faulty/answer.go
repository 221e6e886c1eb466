package faulty

import (
	"fmt"
	"net/http"
)

// ending is what becomes of a connection after what was sent.
type ending int

const (
	keep  ending = iota // for the next request
	end                 // an orderly one (FIN)
	abort               // a reset (RST)
	stall               // nothing, until the other side goes
)

// An answer is what is sent to a request, and what follows. Every fault but
// Refuse and Reset, which come before a request, is one.
type answer struct {
	text []byte
	rate int // in bytes a second; 0: at once
	then ending
}

// garbage is nothing that a codec could take for a response, not even an old one's.
const garbage = "\x16\x03\x01\x00\xff\x00SSH-2.0-nonsense\r\n\r\n\x00\x00"

// answersField says which request a response answers, so that one that was taken for
// the answer to another request shows.
const answersField = "Answers"

// answerTo returns the answer under the fault to the request of the identity and
// method, from a server whose content is body.
func (f Fault) answerTo(id, method, body string) answer {
	start := func(status int) string {
		return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\n%s: %s\r\n", status, http.StatusText(status), answersField, id)
	}
	head := func(status, length int) string {
		return start(status) + fmt.Sprintf("Content-Length: %d\r\n\r\n", length)
	}
	content := body
	if method == http.MethodHead {
		content = "" // whatever the head says
	}
	right := head(http.StatusOK, len(body)) + content
	chunked := start(http.StatusOK) + "Transfer-Encoding: chunked\r\n\r\n"
	switch f.Kind {
	case ResetAt:
		return answer{text: upTo(right, f.Bytes), then: abort}
	case CloseAt:
		return answer{text: upTo(right, f.Bytes), then: end}
	case StallHead:
		return answer{then: stall}
	case StallBody:
		return answer{text: upTo(right, len(right)-len(content)+f.Bytes), then: stall}
	case Slow:
		return answer{text: []byte(right), rate: max(1, f.Rate)}
	case Status:
		return answer{text: []byte(head(f.Status, len(body)) + content)}
	case LongBody:
		return answer{text: append([]byte(right), make([]byte, f.Bytes)...)}
	case ShortBody:
		return answer{text: []byte(head(http.StatusOK, len(body)+f.Bytes) + content), then: end}
	case Garbage:
		return answer{text: []byte(garbage), then: end}
	case Double:
		return answer{text: []byte(right + right)}
	case BadChunks:
		return answer{text: []byte(chunked + chunk(content) + "what\r\n"), then: end}
	case OpenChunks:
		return answer{text: []byte(chunked + chunk(content)), then: end}
	}
	return answer{text: []byte(right)}
}

// chunk returns content as one chunk, or none where it would be the last one.
func chunk(content string) string {
	if content == "" {
		return ""
	}
	return fmt.Sprintf("%x\r\n%s\r\n", len(content), content)
}

// echoOf returns what becomes of bytes that are to be echoed. Of the faults, those
// that are about HTTP do nothing.
func (f Fault) echoOf(b []byte) answer {
	switch f.Kind {
	case ResetAt:
		return answer{text: upTo(string(b), f.Bytes), then: abort}
	case CloseAt:
		return answer{text: upTo(string(b), f.Bytes), then: end}
	case StallHead:
		return answer{then: stall}
	case StallBody:
		return answer{text: upTo(string(b), f.Bytes), then: stall}
	case Slow:
		return answer{text: b, rate: max(1, f.Rate)}
	case Garbage:
		return answer{text: []byte(garbage), then: end}
	case Double:
		return answer{text: append(append([]byte(nil), b...), b...)}
	}
	return answer{text: b}
}

func upTo(s string, n int) []byte { return []byte(s[:min(max(n, 0), len(s))]) }
