package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	snapLength    = 512     // bytes of a frame that are kept
	captureBuffer = 4 << 20 // bytes that may wait while this process is not run
)

// Frame is an Ethernet frame on the link of a host.
type Frame struct {
	At   time.Time // by the kernel
	Sent bool      // by the host; else to it
	Data []byte    // the first 512 bytes, from the Ethernet header on
}

// A Capture records frames. Its methods may be called by several goroutines at
// once.
type Capture struct {
	file *os.File
	keep func(Frame) bool
	done chan struct{}

	mu     sync.Mutex
	frames []Frame
}

// Capture begins to record the frames that pass the host's link, as the far end
// sees them: what is lost on the way to the host is recorded, what the host only
// meant to send is not. Frames that keep does not want are passed over; keep is
// not to hold on to the data. The caller may close the Capture, Lab.Close does
// otherwise.
func (h *Host) Capture(keep func(Frame) bool) (*Capture, error) {
	port, err := h.lab.bridge.LinkByName(h.name)
	if err != nil {
		return nil, fmt.Errorf("host %q: capture: %w", h.name, err)
	}
	c := &Capture{keep: keep, done: make(chan struct{})}
	err = inNamespace(h.lab.bridgeNS, func() (err error) {
		c.file, err = openCapture(port.Attrs().Index)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("host %q: capture: %w", h.name, permitted(err))
	}
	go c.run()
	if !h.lab.adopt(nil, c) {
		return nil, errors.Join(fmt.Errorf("host %q: capture: the lab is closed", h.name), c.Close())
	}
	return c, nil
}

// openCapture opens a packet socket on a link of the thread's namespace. Until it
// is bound it receives nothing, so that nothing comes from other links.
func openCapture(link int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: link}))
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "capture"), nil
}

func networkOrder(v uint16) uint16 { return v<<8 | v>>8 }

// run reads until the socket is closed.
func (c *Capture) run() {
	defer close(c.done)
	raw, err := c.file.SyscallConn()
	if err != nil {
		return // it is closed already
	}
	b, control := make([]byte, snapLength), make([]byte, 128)
	for {
		var f Frame
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			f, failed = readFrame(int(fd), b, control)
			return !errors.Is(failed, unix.EAGAIN)
		})
		if err != nil {
			return
		}
		if failed != nil || !c.keep(f) {
			continue // the link going down is reported once, and passes
		}
		f.Data = slices.Clone(f.Data)
		c.mu.Lock()
		c.frames = append(c.frames, f)
		c.mu.Unlock()
	}
}

func readFrame(fd int, b, control []byte) (Frame, error) {
	n, size, _, from, err := unix.Recvmsg(fd, b, control, 0)
	if err != nil {
		return Frame{}, err
	}
	f := Frame{At: time.Now(), Data: b[:n]}
	if at, ok := timestamp(control[:size]); ok {
		f.At = at
	}
	if link, ok := from.(*unix.SockaddrLinklayer); ok {
		f.Sent = link.Pkttype != unix.PACKET_OUTGOING // out of the port is to the host
	}
	return f, nil
}

// timestamp reads the kernel's time of arrival.
func timestamp(control []byte) (time.Time, bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			// Two words of the machine.
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:]))), true
		}
	}
	return time.Time{}, false
}

// Frames returns what has been recorded so far.
func (c *Capture) Frames() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.frames)
}

// Close ends the recording. What was recorded stays.
func (c *Capture) Close() error {
	err := c.file.Close()
	<-c.done
	return err
}

// Learned returns the host behind whose port the bridge has seen a MAC address
// last; empty when it knows none.
func (l *Lab) Learned(mac [6]byte) (host string, err error) {
	entries, err := l.bridge.NeighListExecute(netlink.Ndmsg{Family: unix.AF_BRIDGE})
	if err != nil {
		return "", fmt.Errorf("list what the bridge has learned: %w", err)
	}
	for _, e := range entries {
		if !slices.Equal(e.HardwareAddr, mac[:]) || e.State&netlink.NUD_PERMANENT != 0 {
			continue
		}
		port, err := l.bridge.LinkByIndex(e.LinkIndex)
		if err != nil {
			return "", fmt.Errorf("find the bridge's port %d: %w", e.LinkIndex, err)
		}
		return port.Attrs().Name, nil
	}
	return "", nil
}
