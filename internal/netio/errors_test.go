package netio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRetryable(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"nil", nil, false},
		{"interface down", unix.ENETDOWN, true},
		{"interface deleted", fmt.Errorf("send: %w", os.NewSyscallError("sendto", unix.ENODEV)), true},
		{"several causes", errors.Join(io.EOF, unix.ENOBUFS), true},
		{"missing capability", explain(unix.EPERM), false},
		{"packet filter", fmt.Errorf("%w: %w", unix.EPERM, errFiltered), true},
		{"closed", net.ErrClosed, false},
		{"bad message", unix.EMSGSIZE, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Retryable(tt.err); got != tt.want {
				t.Errorf("Retryable(%v) = %t, want %t", tt.err, got, tt.want)
			}
		})
	}
}

func TestPacketFilterIsNamed(t *testing.T) {
	a, _ := newHosts(t)
	c := a.listen("192.0.2.1")
	must(t, c.raw.Control(func(fd uintptr) {
		err := c.diagnose(int(fd), unix.EPERM)
		if !Retryable(err) || !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "packet filter") {
			t.Errorf("EPERM of sendto is diagnosed as %q", err)
		}
	}))
}

func TestMissingCapabilityIsNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("dropping a capability needs one: run the compiled test binary with sudo")
	}
	for _, tt := range []struct {
		name string
		open func() error
	}{
		{"VRRP", func() error {
			_, err := OpenVRRP(VRRPOptions{Interface: "lo", Self: netip.MustParseAddr("127.0.0.1")})
			return err
		}},
		{"announcer", func() error { _, err := DialAnnouncer("lo", nil); return err }},
		{"claims", func() error { _, err := WatchClaims("lo", []netip.Addr{vip}, nil); return err }},
		{"gateway", func() error {
			o := gateways["IPv4"]
			o.Interface = "lo"
			return WatchGateway(context.Background(), o, func(bool) {})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			errC := make(chan error)
			go func() {
				// Never unlocked, so that the crippled thread ends here.
				runtime.LockOSThread()
				if err := dropCapability(unix.CAP_NET_RAW); err != nil {
					t.Error(err)
				}
				errC <- tt.open()
			}()
			err := <-errC
			if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_RAW") || Retryable(err) {
				t.Errorf("error %v, want a final EPERM that names CAP_NET_RAW", err)
			}
		})
	}
}

// dropCapability takes a capability of the first 32 from the calling thread.
func dropCapability(capability uint) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << capability
	return unix.Capset(&header, &data[0])
}
