package timeline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxLine bounds a line of the file, in bytes: JSON writes some characters in six.
const maxLine = 64 << 10

// journal is the file of a timeline: one event in JSON a line, in the order in which
// they came. It is owned by the goroutine of Store.Run.
type journal struct {
	path  string
	file  *os.File // locked against other processes
	lines int
	dirty bool // the end of the file may not be whole: it is to be written anew
}

// openJournal opens the file at path, which it makes, and returns the events in it.
// Lines that are none are left out.
func openJournal(path string) (*journal, []Event, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return nil, nil, err
	}
	if err := lock(f); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	events, bad, err := readEvents(f)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return &journal{path: path, file: f, lines: len(events) + bad, dirty: bad > 0}, events, nil
}

// lock takes f for this process, until it is closed.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("lock %s: another process uses it", f.Name())
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

// readEvents reads what a journal holds, and says how many lines are none. A last line
// that is not whole is one of them.
func readEvents(r io.Reader) (events []Event, bad int, err error) {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		text, err := in.ReadSlice('\n')
		long := false
		for errors.Is(err, bufio.ErrBufferFull) {
			long = true
			_, err = in.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, fmt.Errorf("read events: %w", err)
		}
		end := err != nil
		if end && len(text) == 0 && !long {
			return events, bad, nil
		}
		var e Event
		if long || end || json.Unmarshal(text, &e) != nil || valid(e) != nil {
			bad++
		} else {
			events = append(events, e)
		}
		if end {
			return events, bad, nil
		}
	}
}

func encodeEvents(events []Event) []byte {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	for _, e := range events {
		if err := out.Encode(e); err != nil {
			panic(fmt.Sprintf("timeline: encode an event: %v", err))
		}
	}
	return b.Bytes()
}

// append adds events.
func (j *journal) append(events []Event) error {
	if _, err := j.file.Write(encodeEvents(events)); err != nil {
		j.dirty = true
		return fmt.Errorf("keep events: %w", err)
	}
	j.lines += len(events)
	return nil
}

// rewrite makes events all that the file holds.
func (j *journal) rewrite(events []Event) error {
	f, err := os.CreateTemp(filepath.Dir(j.path), filepath.Base(j.path)+".*")
	if err != nil {
		return fmt.Errorf("keep events: %w", err)
	}
	err = lock(f)
	if err == nil {
		_, err = f.Write(encodeEvents(events))
	}
	if err == nil {
		err = f.Chmod(0o640)
	}
	if err == nil {
		err = os.Rename(f.Name(), j.path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it is of no use, and the error is another
		return fmt.Errorf("keep events: %w", errors.Join(err, f.Close()))
	}
	_ = j.file.Close() // there is nothing left to be written to it
	j.file, j.lines, j.dirty = f, len(events), false
	return nil
}

func (j *journal) close() error { return j.file.Close() }
