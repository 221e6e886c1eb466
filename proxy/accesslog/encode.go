package accesslog

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// The longest texts, in bytes as they are written; what is cut ends with mark.
const (
	maxMethod = 32
	maxHost   = 260
	maxPath   = 1024
	maxName   = 128
	maxID     = 128
	mark      = "…"
)

// maxLine bounds the length of a line: keys, numbers and marks are less than 1 KiB. It is
// less than what a pipe takes at once, so that other processes may write to it too.
const maxLine = maxMethod + maxHost + maxPath + 4*maxName + 3*maxID + 1<<10

// append appends the line of e to dst.
func (e *Entry) append(dst []byte, s *stamp) []byte {
	dst = append(dst, `{"time":"`...)
	dst = s.append(dst, e.Start)
	dst = append(dst, `","client":"`...)
	if e.Request.Client.IsValid() {
		dst = e.Request.Client.WithZone("").AppendTo(dst) // a zone is any text
	}
	dst = append(dst, `","method":"`...)
	dst = appendText(dst, e.Request.Method, maxMethod)
	dst = append(dst, `","host":"`...)
	dst = appendText(dst, e.Request.Host, maxHost)
	dst = append(dst, `","path":"`...)
	dst = appendText(dst, e.Request.Path, maxPath)
	dst = append(dst, `","status":`...)
	dst = strconv.AppendInt(dst, int64(e.Response.Status), 10)
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendInt(dst, e.Response.Bytes, 10)
	dst = append(dst, `,"requestBytes":`...)
	dst = strconv.AppendInt(dst, e.Request.Bytes, 10)
	dst = append(dst, `,"latencyMs":`...)
	dst = appendMilliseconds(dst, e.Latency)
	if e.Upstream.Connect > 0 {
		dst = append(dst, `,"connectMs":`...)
		dst = appendMilliseconds(dst, e.Upstream.Connect)
	}
	if e.Upstream.Queued > 0 {
		dst = append(dst, `,"queuedMs":`...)
		dst = appendMilliseconds(dst, e.Upstream.Queued)
	}
	if e.Upstream.FirstByte > 0 {
		dst = append(dst, `,"firstByteMs":`...)
		dst = appendMilliseconds(dst, e.Upstream.FirstByte)
	}
	dst = appendOptional(dst, `,"server":"`, e.Upstream.Server, maxName)
	dst = append(dst, `,"listener":"`...)
	dst = appendText(dst, e.Listener, maxName)
	dst = append(dst, '"')
	if e.Route > 0 {
		dst = append(dst, `,"route":`...)
		dst = strconv.AppendInt(dst, int64(e.Route), 10)
	}
	dst = appendOptional(dst, `,"pool":"`, e.Upstream.Pool, maxName)
	dst = append(dst, `,"retries":`...)
	dst = strconv.AppendInt(dst, int64(e.Upstream.Retries), 10)
	dst = appendOptional(dst, `,"correlationId":"`, e.Request.CorrelationID, maxID)
	dst = appendOptional(dst, `,"tenantId":"`, e.Request.TenantID, maxID)
	dst = appendOptional(dst, `,"traceId":"`, e.Request.TraceID, maxID)
	dst = append(dst, `,"reason":"`...)
	dst = appendText(dst, e.Reason, maxName)
	return append(dst, "\"}\n"...)
}

// appendOptional appends key, which ends with a quote, and the text s, if there is
// one.
func appendOptional[T ~string | ~[]byte](dst []byte, key string, s T, limit int) []byte {
	if len(s) == 0 {
		return dst
	}
	dst = append(dst, key...)
	dst = appendText(dst, s, limit)
	return append(dst, '"')
}

// appendText appends s as the inside of a JSON text (RFC 8259, section 7), of limit
// bytes at most and a mark.
func appendText[T ~string | ~[]byte](dst []byte, s T, limit int) []byte {
	end := len(dst) + limit
	if len(s) > limit+utf8.UTFMax {
		s = s[:limit+utf8.UTFMax] // no character becomes shorter: it is cut before that
	}
	from := 0 // of what needs no change and is not yet appended
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if len(dst)+i-from > end {
			break
		}
		dst = append(dst, s[from:i]...)
		escaped, size := appendEscaped(dst, s[i:min(i+utf8.UTFMax, len(s))])
		if len(escaped) > end {
			return append(dst, mark...)
		}
		dst = escaped
		i += size
		from = i
	}
	if len(dst)+len(s)-from > end {
		return append(append(dst, s[from:from+end-len(dst)]...), mark...)
	}
	return append(dst, s[from:]...)
}

// plain are the bytes that stand for themselves in a JSON text and are a whole
// character.
var plain = func() (plain [256]bool) {
	for c := ' '; c <= '~'; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

const hexDigits = "0123456789abcdef"

// appendEscaped appends the first character of s, and returns its size in s.
func appendEscaped[T ~string | ~[]byte](dst []byte, s T) ([]byte, int) {
	switch c := s[0]; {
	case c == '"' || c == '\\':
		return append(dst, '\\', c), 1
	case c < utf8.RuneSelf:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf]), 1
	}
	r, size := utf8.DecodeRuneInString(string(s))
	if r >= 0x80 && r < 0xa0 { // the other control characters
		return append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&0xf]), size
	}
	return utf8.AppendRune(dst, r), size // the replacement for what is no UTF-8
}

// appendMilliseconds appends d in milliseconds, to the microsecond.
func appendMilliseconds(dst []byte, d time.Duration) []byte {
	us := max(d, 0).Microseconds()
	dst = strconv.AppendInt(dst, us/1000, 10)
	if us %= 1000; us > 0 {
		dst = append(dst, '.', digit(us/100), digit(us/10), digit(us))
	}
	return dst
}

func digit[T int | int64](n T) byte { return '0' + byte(n%10) }

// stamp writes times, and remembers the last second: that costs more than the rest
// of a line's numbers together.
type stamp struct {
	second int64
	text   [len("2006-01-02T15:04:05")]byte
	known  bool
}

// append appends t as RFC 3339 has it, in UTC and to the millisecond.
func (s *stamp) append(dst []byte, t time.Time) []byte {
	if second := t.Unix(); second != s.second || !s.known {
		s.second, s.known = second, true
		t.UTC().AppendFormat(s.text[:0], "2006-01-02T15:04:05")
	}
	ms := t.Nanosecond() / int(time.Millisecond)
	dst = append(dst, s.text[:]...)
	return append(dst, '.', digit(ms/100), digit(ms/10), digit(ms), 'Z')
}
