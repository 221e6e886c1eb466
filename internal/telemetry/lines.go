package telemetry

import (
	"bytes"
	"io"
	"os"
)

// atomicWrite is how much is written to a pipe at once, without the writes of other
// processes between (POSIX, PIPE_BUF). No line of a log is longer.
const atomicWrite = 4096

// Lines returns a writer to out that several processes can share: whole lines are
// written at once, as many as fit. One that is longer goes by itself. What is no pipe
// takes any number of lines at once.
func Lines(out io.Writer) io.Writer {
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			return out
		}
	}
	return lines{out}
}

type lines struct{ out io.Writer }

func (l lines) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		n := len(b)
		if n > atomicWrite {
			if n = bytes.LastIndexByte(b[:atomicWrite], '\n') + 1; n == 0 {
				if n = bytes.IndexByte(b, '\n') + 1; n == 0 {
					n = len(b)
				}
			}
		}
		k, err := l.out.Write(b[:n])
		written += k
		if err != nil {
			return written, err
		}
		b = b[n:]
	}
	return written, nil
}
