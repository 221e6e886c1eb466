package ipc

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxMessage bounds a message, so that a corrupt length cannot exhaust memory.
const maxMessage = 64 << 20

// MaxFiles is the most descriptors that one message can carry; the kernel
// refuses more than 253 (SCM_MAX_FD).
const MaxFiles = 250

// sendTimeout bounds a Send. Whoever does not read for so long, with hundreds of
// messages waiting, is not going to.
const sendTimeout = time.Second

// Conn is one end of a socket pair. It sends values of type Out and receives
// values of type In, each preceded by its length. One goroutine may receive
// while others send.
type Conn[In, Out any] struct {
	c *net.UnixConn

	sendMu  sync.Mutex
	timeout time.Duration // of a Send
}

// Pair returns the two ends of a new socket pair: one to use in this process,
// and the file to pass to a child, which opens it with New. The caller closes
// both.
func Pair[In, Out any](name string) (*Conn[In, Out], *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("create socket pair for the %s: %w", name, err)
	}
	theirs := os.NewFile(uintptr(fds[1]), name)
	ours, err := New[In, Out](os.NewFile(uintptr(fds[0]), name))
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return ours, theirs, nil
}

// New wraps the socket f, which it closes: the Conn holds its own descriptor.
func New[In, Out any](f *os.File) (*Conn[In, Out], error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("open control socket %s: %w", f.Name(), err)
	}
	uc, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("open control socket %s: it is a %T, not a unix socket", f.Name(), c)
	}
	return &Conn[In, Out]{c: uc, timeout: sendTimeout}, nil
}

// Send writes m and the descriptors of files, which stay the caller's. When it
// cannot, because the other end is closed or does not read, the Conn is of no
// more use: part of a message may have been written. Then it is closed, and both
// ends learn so from Receive.
func (c *Conn[In, Out]) Send(m Out, files ...*os.File) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode %T: %w", m, err)
	}
	if len(body) > maxMessage {
		return fmt.Errorf("send %T: %d bytes exceed the limit of %d", m, len(body), maxMessage)
	}
	if len(files) > MaxFiles {
		return fmt.Errorf("send %T with %d descriptors: at most %d fit one message", m, len(files), MaxFiles)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	frame = append(frame, body...)

	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if err := c.write(frame, files); err != nil {
		c.c.Close()
		return fmt.Errorf("send %T: %w", m, err)
	}
	return nil
}

func (c *Conn[In, Out]) write(frame []byte, files []*os.File) error {
	if err := c.c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	n := 0
	if len(files) > 0 {
		var err error
		if n, err = c.sendFiles(frame, files); err != nil {
			return err
		}
	}
	_, err := c.c.Write(frame[n:])
	return err
}

// sendFiles writes the beginning of frame with the descriptors attached, and
// returns how much of it was taken.
func (c *Conn[In, Out]) sendFiles(frame []byte, files []*os.File) (int, error) {
	fds := make([]int, len(files))
	for i, f := range files {
		fd, err := descriptor(f)
		if err != nil {
			return 0, err
		}
		fds[i] = fd
	}
	n, _, err := c.c.WriteMsgUnix(frame, unix.UnixRights(fds...), nil)
	runtime.KeepAlive(files)
	return n, err
}

// descriptor returns f's descriptor and, unlike f.Fd, leaves it non-blocking:
// the mode belongs to the open socket, which the receiver shares.
func descriptor(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("descriptor of %s: %w", f.Name(), err)
	}
	err = raw.Control(func(p uintptr) { fd = int(p) })
	return fd, err
}

// Receive waits for the next message. The descriptors that came with it are the
// caller's to close. It returns io.EOF when the other end is closed.
func (c *Conn[In, Out]) Receive() (In, []*os.File, error) {
	var m In
	var head [4]byte
	files, err := c.readHead(head[:])
	if err != nil {
		return m, nil, err
	}
	body, err := c.readBody(binary.BigEndian.Uint32(head[:]))
	if err == nil {
		if err = json.Unmarshal(body, &m); err != nil {
			err = fmt.Errorf("decode %T: %w", m, err)
		}
	}
	if err != nil {
		closeAll(files)
		return m, nil, err
	}
	return m, files, nil
}

// readHead fills head and collects the descriptors, which arrive with a
// message's first byte.
func (c *Conn[In, Out]) readHead(head []byte) ([]*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(4*MaxFiles))
	n, oobn, _, _, err := c.c.ReadMsgUnix(head, oob)
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	if n == 0 {
		return nil, io.EOF
	}
	files, err := parseRights(oob[:oobn])
	if err != nil {
		return nil, err
	}
	if err := c.readRest(head[n:]); err != nil {
		closeAll(files)
		return nil, err
	}
	return files, nil
}

func (c *Conn[In, Out]) readBody(size uint32) ([]byte, error) {
	if size > maxMessage {
		return nil, fmt.Errorf("receive: message of %d bytes exceeds the limit of %d", size, maxMessage)
	}
	body := make([]byte, size)
	return body, c.readRest(body)
}

// readRest fills b with what must still come of a message that has begun.
func (c *Conn[In, Out]) readRest(b []byte) error {
	_, err := io.ReadFull(c.c, b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	return nil
}

func parseRights(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("receive descriptors: %w", err)
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("receive descriptors: %w", err)
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received socket"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// Close closes this end; the other end's Receive returns io.EOF.
func (c *Conn[In, Out]) Close() error { return c.c.Close() }

// CloseRead makes a pending Receive, and each later one, return io.EOF.
func (c *Conn[In, Out]) CloseRead() {
	_ = c.c.CloseRead() // it fails on a closed socket, where it is not needed
}
