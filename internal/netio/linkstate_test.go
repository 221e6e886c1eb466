package netio

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestLinkStates(t *testing.T) {
	up := LinkEvent{Name: "eth0", Up: true, Index: 2}
	for _, tt := range []struct {
		name    string
		before  []link
		updates []link
		want    []LinkEvent
	}{
		{
			"first news", nil,
			[]link{{index: 2, name: "eth0", up: true}, {index: 3, name: "eth1"}},
			[]LinkEvent{up, {Name: "eth1", Index: 3}},
		},
		{
			"nothing new", []link{{index: 2, name: "eth0", up: true}},
			[]link{{index: 2, name: "eth0", up: true}}, nil,
		},
		{
			"down and up", []link{{index: 2, name: "eth0", up: true}},
			[]link{{index: 2, name: "eth0"}, {index: 2, name: "eth0", up: true}},
			[]LinkEvent{{Name: "eth0", Index: 2}, up},
		},
		{
			"deleted", []link{{index: 2, name: "eth0", up: true}},
			[]link{{index: 2, name: "eth0", gone: true}},
			[]LinkEvent{{Name: "eth0", Index: 2}},
		},
		{
			"deleted when down already", []link{{index: 2, name: "eth0"}},
			[]link{{index: 2, name: "eth0", gone: true}}, nil,
		},
		{
			"deleted and made anew", []link{{index: 2, name: "eth0", up: true}},
			[]link{{index: 2, name: "eth0", gone: true}, {index: 7, name: "eth0", up: true}},
			[]LinkEvent{{Name: "eth0", Index: 2}, {Name: "eth0", Up: true, Index: 7}},
		},
		{
			"renamed", []link{{index: 2, name: "eth0", up: true}},
			[]link{{index: 2, name: "wan", up: true}},
			[]LinkEvent{{Name: "eth0", Index: 2}, {Name: "wan", Up: true, Index: 2}},
		},
		{"unknown one deleted", nil, []link{{index: 2, name: "eth0", gone: true}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := linkStates{}
			s.resync(tt.before)
			var got []LinkEvent
			for _, u := range tt.updates {
				got = append(got, s.update(u)...)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// What was lost must come out of a resync as if it had been heard.
func TestResyncTellsWhatWasMissed(t *testing.T) {
	s := linkStates{}
	s.resync([]link{{index: 1, name: "lo", up: true}, {index: 2, name: "eth0", up: true}, {index: 3, name: "eth1", up: true}})
	got := s.resync([]link{{index: 1, name: "lo", up: true}, {index: 3, name: "eth1"}, {index: 8, name: "eth0", up: true}})
	want := []LinkEvent{
		{Name: "eth0", Index: 2},
		{Name: "eth1", Index: 3},
		{Name: "eth0", Up: true, Index: 8},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// linkMessage is an RTM_NEWLINK of index 2, as far as it is read.
func linkMessage(family byte, flags uint32, name string) []byte {
	b := []byte{family, 0}
	b = binary.NativeEndian.AppendUint16(b, unix.ARPHRD_ETHER)
	b = binary.NativeEndian.AppendUint32(b, 2)
	b = binary.NativeEndian.AppendUint32(b, flags)
	b = binary.NativeEndian.AppendUint32(b, 0) // change mask
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(name)+1))
	b = binary.NativeEndian.AppendUint16(b, unix.IFLA_IFNAME)
	b = append(b, name...)
	for b = append(b, 0); len(b)%4 != 0; {
		b = append(b, 0)
	}
	return b
}

func TestParseLink(t *testing.T) {
	const up, running = unix.IFF_UP, unix.IFF_RUNNING
	type result struct {
		Link link
		OK   bool
	}
	for _, tt := range []struct {
		name    string
		msgType uint16
		message []byte
		want    result
		wantErr bool
	}{
		{"up with carrier", unix.RTM_NEWLINK, linkMessage(0, up|running, "eth0"), result{link{2, "eth0", true, false}, true}, false},
		{"up without carrier", unix.RTM_NEWLINK, linkMessage(0, up, "eth0"), result{link{2, "eth0", false, false}, true}, false},
		{"taken down", unix.RTM_NEWLINK, linkMessage(0, running, "eth0"), result{link{2, "eth0", false, false}, true}, false},
		{"deleted", unix.RTM_DELLINK, linkMessage(0, up, "eth0"), result{link{2, "eth0", false, true}, true}, false},
		{"port leaves its bridge", unix.RTM_DELLINK, linkMessage(unix.AF_BRIDGE, up, "eth0"), result{}, false},
		{"end of a list", unix.NLMSG_DONE, []byte{0, 0, 0, 0}, result{}, false},
		{"cut in the header", unix.RTM_NEWLINK, linkMessage(0, up, "eth0")[:12], result{}, true},
		{"cut in an attribute", unix.RTM_NEWLINK, linkMessage(0, up, "eth0")[:24], result{}, true},
		{"not padded", unix.RTM_NEWLINK, linkMessage(0, up, "eth0")[:25], result{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, ok, err := parseLink(tt.msgType, tt.message)
			if diff := cmp.Diff(tt.want, result{u, ok}, cmp.AllowUnexported(link{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (err != nil) != tt.wantErr {
				t.Errorf("error %v, want one: %t", err, tt.wantErr)
			}
		})
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add(uint16(unix.RTM_NEWLINK), linkMessage(0, unix.IFF_UP, "eth0"))
	f.Add(uint16(unix.RTM_DELLINK), linkMessage(0, 0, ""))
	f.Fuzz(func(t *testing.T, msgType uint16, b []byte) {
		u, ok, err := parseLink(msgType, b)
		if (!ok || err != nil) && u != (link{}) {
			t.Errorf("%+v with ok %t and error %v", u, ok, err)
		}
		if ok && u.gone != (msgType == unix.RTM_DELLINK) {
			t.Errorf("gone %t of message type %d", u.gone, msgType)
		}
	})
}
