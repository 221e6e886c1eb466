package vrrp_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

// resum puts the checksum right in a message that a test has changed.
func resum(b []byte) []byte {
	b[6], b[7] = 0, 0
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[6:], ^uint16(sum))
	return b
}

func TestParseAdvertDrops(t *testing.T) {
	const (
		v3 = "31 33 c8 01 000a 44bf c0000201"
		v2 = "21 33 c8 01 00 01 54c8 c0000201 0000000000000000"
	)
	set := func(i int, v byte) func([]byte) []byte {
		return func(b []byte) []byte { b[i] = v; return resum(b) }
	}
	tests := []struct {
		name   string
		bytes  string
		header vrrp.Header
		change func([]byte) []byte
		want   vrrp.Drop
	}{
		{"empty", v3, header4, func([]byte) []byte { return nil }, vrrp.DropLength},
		{"seven bytes", v3, header4, func(b []byte) []byte { return b[:7] }, vrrp.DropLength},
		{"address cut off", v3, header4, func(b []byte) []byte { return resum(b[:10]) }, vrrp.DropLength},
		{"one byte too many", v3, header4, func(b []byte) []byte { return append(b, 0) }, vrrp.DropLength},
		{"version 2 trailer on version 3", v3, header4, func(b []byte) []byte { return append(b, make([]byte, 8)...) }, vrrp.DropLength},
		{"version 2 without trailer", v2, header4, func(b []byte) []byte { return resum(b[:12]) }, vrrp.DropLength},
		{"more addresses promised than sent", v3, header4, set(3, 2), vrrp.DropLength},
		{"255 addresses promised", v3, header4, set(3, 255), vrrp.DropLength},
		{"255 IPv6 addresses promised", v3, header6, set(3, 255), vrrp.DropLength},
		{"version 1", v3, header4, set(0, 0x11), vrrp.DropVersion},
		{"version 4", v3, header4, set(0, 0x41), vrrp.DropVersion},
		{"type 2", v3, header4, set(0, 0x32), vrrp.DropType},
		{"VRID 0", v3, header4, set(1, 0), vrrp.DropVRID},
		{"checksum off by one", v3, header4, func(b []byte) []byte { b[7]++; return b }, vrrp.DropChecksum},
		{"checksum absent", v3, header4, func(b []byte) []byte { b[6], b[7] = 0, 0; return b }, vrrp.DropChecksum},
		{"IPv6 without pseudo-header", "31 33 c8 01 0064 0000 fe80 0000 0000 0000 0000 0000 0001 0051", header6, resum, vrrp.DropChecksum},
		{"version 2 with pseudo-header", v2, header4, func(b []byte) []byte { b[6], b[7] = 0xb1, 0x35; return b }, vrrp.DropChecksum},
		{"no address", v3, header4, func(b []byte) []byte { b[3] = 0; return resum(b[:8]) }, vrrp.DropCount},
		// Erratum 8301.
		{"interval 0", v3, header4, set(5, 0), vrrp.DropInterval},
		{"interval 0 below the reserved bits", v3, header4, func(b []byte) []byte { b[4], b[5] = 0xf0, 0; return resum(b) }, vrrp.DropInterval},
		{"interval 0 in version 2", v2, header4, set(5, 0), vrrp.DropInterval},
		{"password in version 2", v2, header4, set(4, 1), vrrp.DropAuth},
		{"version 2 over IPv6", v2, header6, resum, vrrp.DropFamily},
		{"no header", v3, vrrp.Header{}, resum, vrrp.DropFamily},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _, err := vrrp.ParseAdvert(tt.change(unhex(t, tt.bytes)), tt.header)
			if got := vrrp.DropOf(err); got != tt.want {
				t.Errorf("drop reason is %q (%v), want %q", got, err, tt.want)
			}
			if diff := cmp.Diff(vrrp.Advert{}, a, byValue); diff != "" {
				t.Errorf("advertisement beside the error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseAdvertInterval(t *testing.T) {
	tests := []struct {
		name  string
		field uint16
		want  time.Duration
	}{
		{"shortest", 1, 10 * time.Millisecond},
		{"longest", 0x0fff, 40950 * time.Millisecond},
		{"reserved bits set", 0xf00a, 100 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, golden[1].bytes)
			binary.BigEndian.PutUint16(b[4:], tt.field)
			a, _, err := vrrp.ParseAdvert(resum(b), header4)
			if err != nil {
				t.Fatalf("parse: %v", err)
			}
			if a.Interval != tt.want {
				t.Errorf("interval is %v, want %v", a.Interval, tt.want)
			}
		})
	}
}

// A message may sum up to a checksum of 0, which does not mean "none".
func TestParseAdvertChecksumThatIsZero(t *testing.T) {
	b := unhex(t, golden[1].bytes)
	copy(b[10:], []byte{b[6] + b[10], b[7] + b[11]})
	resum(b)
	if b[6] != 0 || b[7] != 0 {
		t.Fatalf("bad test data: the checksum of % x is not 0", b)
	}
	if _, form, err := vrrp.ParseAdvert(b, header4); err != nil || form != vrrp.MessageOnly {
		t.Errorf("parsed as %v, error %v; want message only", form, err)
	}
}

func TestDropOf(t *testing.T) {
	_, _, err := vrrp.ParseAdvert(nil, header4)
	if got, want := err.Error(), "drop packet: 0 bytes are no advertisement"; got != want {
		t.Errorf("error is %q, want %q", got, want)
	}
	if got := vrrp.DropOf(errors.Join(errors.New("other"), err)); got != vrrp.DropLength {
		t.Errorf("wrapped: %q, want %q", got, vrrp.DropLength)
	}
	if got := vrrp.DropOf(errors.New("other")); got != "" {
		t.Errorf("foreign error: %q, want none", got)
	}
	if got := vrrp.DropOf(nil); got != "" {
		t.Errorf("no error: %q, want none", got)
	}
}
