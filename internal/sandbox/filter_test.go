package sandbox

import (
	"encoding/binary"
	"runtime"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// data is a struct seccomp_data as the kernel shows it to a filter. The simulation reads
// big-endian, and so it is written here: the lower half of an argument, which comes
// first in memory on the machines that there are filters for, is at its offset.
func data(arch, call uint32, args ...uint32) []byte {
	b := make([]byte, 64)
	binary.BigEndian.PutUint32(b[callNumber:], call)
	binary.BigEndian.PutUint32(b[callArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(b[argument+8*i:], a)
	}
	return b
}

// virtual returns the machine that this is, and its filter as a program that runs here.
func virtual(t *testing.T) (machine, *bpf.VM) {
	t.Helper()
	m, known := machines[runtime.GOARCH]
	if !known {
		t.Skip("there is no filter for " + runtime.GOARCH)
	}
	vm, err := bpf.NewVM(m.program())
	if err != nil {
		t.Fatal(err)
	}
	return m, vm
}

func TestFilter(t *testing.T) {
	const (
		threads = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
		other   = 0x40000003 // 32 bits
	)
	m, vm := virtual(t)
	rows := []struct {
		name string
		in   []byte
		want uint32
	}{
		{"read", data(m.audit, unix.SYS_READ), allow},
		{"epoll_pwait", data(m.audit, unix.SYS_EPOLL_PWAIT), allow},
		{"accept4", data(m.audit, unix.SYS_ACCEPT4), allow},
		{"futex", data(m.audit, unix.SYS_FUTEX), allow},
		{"connect", data(m.audit, unix.SYS_CONNECT), allow},
		{"the last that there is", data(m.audit, 470), allow},
		{"another machine's", data(other, unix.SYS_READ), refuse},
		{"a socket of IPv4", data(m.audit, unix.SYS_SOCKET, unix.AF_INET), allow},
		{"a socket of IPv6", data(m.audit, unix.SYS_SOCKET, unix.AF_INET6), allow},
		{"names of interfaces", data(m.audit, unix.SYS_SOCKET, unix.AF_NETLINK), allow},
		{"a unix socket", data(m.audit, unix.SYS_SOCKET, unix.AF_UNIX), refuse},
		{"a packet socket", data(m.audit, unix.SYS_SOCKET, unix.AF_PACKET), refuse},
		{"a vsock", data(m.audit, unix.SYS_SOCKET, unix.AF_VSOCK), refuse},
		{"bind of netlink", data(m.audit, unix.SYS_BIND, 3, 0, unix.SizeofSockaddrNetlink), allow},
		{"bind of IPv4", data(m.audit, unix.SYS_BIND, 3, 0, unix.SizeofSockaddrInet4), refuse},
		{"bind of IPv6", data(m.audit, unix.SYS_BIND, 3, 0, unix.SizeofSockaddrInet6), refuse},
		{"a thread", data(m.audit, unix.SYS_CLONE, threads), allow},
		{"a process", data(m.audit, unix.SYS_CLONE, uint32(unix.SIGCHLD)), refuse},
		{"a process in a namespace", data(m.audit, unix.SYS_CLONE, unix.CLONE_NEWUSER), refuse},
		{"clone3", data(m.audit, unix.SYS_CLONE3), noSuch},
	}
	for _, call := range append(m.refused, refused...) {
		rows = append(rows, struct {
			name string
			in   []byte
			want uint32
		}{"one of those that are refused", data(m.audit, call), refuse})
	}
	if m.foreign != 0 {
		rows = append(rows, struct {
			name string
			in   []byte
			want uint32
		}{"another ABI's", data(m.audit, m.foreign|unix.SYS_READ), refuse})
	}
	for _, r := range rows {
		got, err := vm.Run(r.in)
		if err != nil || uint32(got) != r.want {
			t.Errorf("%s, call %d: %#x, %v; want %#x", r.name, binary.BigEndian.Uint32(r.in), got, err, r.want)
		}
	}
}

// Each call that is not named is allowed: the search finds no other.
func TestFilterRefusesNothingElse(t *testing.T) {
	m, vm := virtual(t)
	named := map[uint32]bool{unix.SYS_SOCKET: true, unix.SYS_BIND: true, unix.SYS_CLONE: true, unix.SYS_CLONE3: true}
	for _, call := range append(m.refused, refused...) {
		if named[call] {
			t.Errorf("call %d is named twice", call)
		}
		named[call] = true
	}
	for call := range uint32(1024) {
		if named[call] {
			continue
		}
		if got, err := vm.Run(data(m.audit, call)); err != nil || uint32(got) != allow {
			t.Errorf("call %d: %#x, %v", call, got, err)
		}
	}
}

func TestParseState(t *testing.T) {
	const status = "Name:\ttandem\nUid:\t0\t65534\t65534\t65534\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n" +
		"CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000400\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	var s State
	if err := s.parse(status); err != nil {
		t.Fatal(err)
	}
	if s.UID != 65534 || s.Capabilities != "400" || s.Bounding != "1ffffffffff" || !s.NoNewPrivs || !s.Seccomp {
		t.Errorf("%+v", s)
	}
	for _, text := range []string{"", "Uid:\t1", "Uid:\tx\ty", "Uid:\t1\t1\nCapInh:\tz"} {
		if err := new(State).parse(text); err == nil {
			t.Errorf("%q is taken for a status", text)
		}
	}
}
