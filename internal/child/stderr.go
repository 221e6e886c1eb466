package child

import (
	"errors"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/telemetry"
)

const (
	// quiet is how long nothing more comes when a part is told that is not full.
	quiet = 100 * time.Millisecond
	// lastWords is how long standard error is read after the end of a child: a process
	// that it has started may still have it.
	lastWords = time.Second
)

// stderr is the reader's end of the standard error of a child. Nothing is meant to come
// there; what does is the trace of a crash, or a warning of the runtime, and is told in
// the log.
type stderr struct {
	r    *os.File
	done chan struct{} // closed when all is read
}

// pipeStderr returns the end for the child, which the caller closes, and the other.
func pipeStderr() (theirs *os.File, s *stderr, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return w, &stderr{r: r, done: make(chan struct{})}, nil
}

// neverWait has a child that writes to a full pipe lose what it writes: one that
// crashes must end, whether or not somebody reads of it.
func neverWait(w *os.File) error {
	raw, err := w.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetNonblock(int(fd), true) })
	return errors.Join(err, failed)
}

// read tells what comes, until the end.
func (s *stderr) read(log *zap.Logger) {
	defer close(s.done)
	defer s.r.Close()
	var w words
	buf := make([]byte, partSize)
	for {
		wait := time.Time{} // without end
		if len(w.waiting) > 0 {
			wait = time.Now().Add(quiet)
		}
		_ = s.r.SetReadDeadline(wait) // a pipe has deadlines
		n, err := s.r.Read(buf)
		for _, p := range w.take(buf[:n], err == nil) {
			fields := []zap.Field{zap.Int("part", p.number), zap.String("text", p.text)}
			if p.free {
				fields = append(fields, telemetry.Always())
			}
			if p.crash {
				log.Error("crashed", fields...)
			} else {
				log.Error("written to standard error", fields...)
			}
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// end waits until all is read.
func (s *stderr) end() {
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
		_ = s.r.Close() // which ends the reading
		<-s.done
	}
}
