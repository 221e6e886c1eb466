package certs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxFile bounds a file. Lists of revoked certificates are the largest, a few tens of
// bytes for each.
const maxFile = 4 << 20

// stamp tells whether a file is the one that was read. That of a file which cannot be
// read is the zero stamp.
type stamp struct {
	device, inode uint64
	size          int64
	modified      time.Time
	changed       time.Time // also by another owner or mode, and not to be set by anybody
}

// reading is what a file held at a time.
type reading struct {
	stamp   stamp
	content []byte
	open    bool  // others than its owner and its group may read it
	err     error // why it could not be read
	at      time.Time
}

// same reports whether r is no other than o to who judges it.
func (r reading) same(o reading) bool {
	if r.err != nil || o.err != nil {
		return r.err != nil && o.err != nil && r.err.Error() == o.err.Error()
	}
	return bytes.Equal(r.content, o.content)
}

// coarse is more than what two changes of a file may lie apart and still have one time,
// and more than clocks of a file server may differ from this host's in good order.
const coarse = 3 * time.Second

// settled reports whether a file that has still the stamp of r holds what r holds. One
// that was read right after a change may have been changed once more within the
// resolution of its times.
func (r reading) settled() bool { return r.err == nil && r.at.Sub(r.stamp.changed) > coarse }

// read returns what the file of that path holds now. When it is as it was before, it is
// not read again.
func read(path string, before reading, now time.Time) reading {
	info, err := os.Stat(path)
	if err != nil {
		return reading{err: cause(err), at: now}
	}
	if s := stampOf(info); s == before.stamp && before.settled() {
		return before
	}
	if !info.Mode().IsRegular() {
		return reading{err: errNotRegular, at: now}
	}
	if info.Size() > maxFile {
		return reading{err: errLarge, at: now}
	}
	// Not to wait for a pipe that has taken its place meanwhile.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return reading{err: cause(err), at: now}
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return reading{err: cause(err), at: now}
	}
	if !info.Mode().IsRegular() {
		return reading{err: errNotRegular, at: now}
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return reading{err: cause(err), at: now}
	case len(content) > maxFile:
		return reading{err: errLarge, at: now}
	}
	return reading{stamp: stampOf(info), content: content, open: info.Mode().Perm()&0o007 != 0, at: now}
}

var (
	errNotRegular = errors.New("it is not a regular file")
	errLarge      = fmt.Errorf("it is larger than %d MiB", maxFile>>20)
)

// cause takes the path out of err: whoever reports it names the file.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime(), changed: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode, s.changed = st.Dev, st.Ino, time.Unix(st.Ctim.Unix())
	}
	return s
}
