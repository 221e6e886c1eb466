package child

import "bytes"

// partSize is how much of what a child writes to standard error is told in one line,
// which must not become too long by its escapes.
const partSize = 3000

// maxTrace is how many parts of the trace of a crash are told however fast they come: the
// first ones tell why.
const maxTrace = 100

// part is some of what a child has written.
type part struct {
	crash  bool // of the trace of a crash
	free   bool // of the bound of what comes too often
	number int  // from 1
	text   string
}

// words are what a child writes to standard error, as it comes.
type words struct {
	waiting []byte
	parts   int
	crash   bool
	traced  int // parts of a trace
}

// take adds b, and returns the parts that are complete; when nothing more comes, or not
// soon, all is.
func (w *words) take(b []byte, more bool) (all []part) {
	w.waiting = append(w.waiting, b...)
	for len(w.waiting) >= partSize || !more && len(w.waiting) > 0 {
		n := min(partSize, len(w.waiting))
		if end := bytes.LastIndexByte(w.waiting[:n], '\n'); end >= 0 && n == partSize {
			n = end + 1
		}
		text := w.waiting[:n]
		w.crash = w.crash || beginsCrash(text)
		w.parts++
		if w.crash {
			w.traced++
		}
		all = append(all, part{crash: w.crash, free: w.crash && w.traced <= maxTrace, number: w.parts, text: string(bytes.TrimRight(text, "\n"))})
		w.waiting = append([]byte(nil), w.waiting[n:]...)
	}
	return all
}

// beginsCrash reports whether a line of text is one with which Go begins the trace of a
// crash.
func beginsCrash(text []byte) bool {
	for line := range bytes.Lines(text) {
		for _, begin := range []string{"panic: ", "fatal error: ", "SIG", "unexpected fault address"} {
			if bytes.HasPrefix(line, []byte(begin)) {
				return true
			}
		}
	}
	return false
}
