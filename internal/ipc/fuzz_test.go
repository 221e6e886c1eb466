package ipc

import (
	"encoding/binary"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzReceive reads what a child that was taken over may write.
func FuzzReceive(f *testing.F) {
	frame := func(body string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	f.Add(frame(`{"Pong":{"Seq":1}}`))
	f.Add(append(frame(`{"Applied":{"Generation":1,"Error":"x"}}`), frame(`{"Lookup":{"Host":"a"}}`)...))
	f.Add(frame(`{"State":{"Pools":[{"Servers":[{"Address":"192.0.2.1:80","Until":"x"}]}]}}`))
	f.Add([]byte{0, 0, 0, 9, '{'})
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return // more than the socket takes at once
		}
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		c, err := New[FromWorker, ToWorker](os.NewFile(uintptr(fds[0]), "ours"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		theirs := os.NewFile(uintptr(fds[1]), "theirs")
		_, err = theirs.Write(b)
		theirs.Close()
		if err != nil {
			t.Fatal(err)
		}
		for received := 0; ; received++ {
			_, files, err := c.Receive()
			if len(files) > 0 {
				t.Fatalf("%d descriptors came", len(files))
			}
			if err != nil {
				return
			}
			if received > len(b)/4 {
				t.Fatal("more messages than there is room for")
			}
		}
	})
}
