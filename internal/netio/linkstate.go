package netio

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// LinkEvent says that an interface gained or lost its link, or was replaced.
type LinkEvent struct {
	Name string
	// Up: administratively up, with carrier. Down too when it was deleted.
	Up bool
	// Index differs from that of the event before when another interface has
	// taken the name; sockets on the old one are dead.
	Index int
}

// link is an interface as the kernel describes it.
type link struct {
	index int
	name  string
	up    bool
	gone  bool
}

// linkStates holds the last event of each interface, by index: the name is what
// can change.
type linkStates map[int]LinkEvent

// update takes in news about one interface and returns what changed.
func (s linkStates) update(u link) []LinkEvent {
	var events []LinkEvent
	old, known := s[u.index]
	if known && old.Up && (u.gone || old.Name != u.name) {
		events = append(events, LinkEvent{Name: old.Name, Index: u.index})
	}
	if u.gone {
		delete(s, u.index)
		return events
	}
	now := LinkEvent{Name: u.name, Up: u.up, Index: u.index}
	if !known || old != now {
		events = append(events, now)
	}
	s[u.index] = now
	return events
}

// resync takes in the whole truth and returns what changed.
func (s linkStates) resync(all []link) []LinkEvent {
	var events []LinkEvent
	present := make(map[int]bool, len(all))
	for _, u := range all {
		present[u.index] = true
	}
	// First those that are gone, because another may have taken the name.
	for index, e := range s {
		if !present[index] {
			events = append(events, s.update(link{index: index, name: e.Name, gone: true})...)
		}
	}
	for _, u := range all {
		events = append(events, s.update(u)...)
	}
	return events
}

// parseLink reads a message about a link; ok is false for those that say
// nothing about its state.
func parseLink(msgType uint16, b []byte) (u link, ok bool, err error) {
	if msgType != unix.RTM_NEWLINK && msgType != unix.RTM_DELLINK {
		return link{}, false, nil
	}
	// The attributes of netlink are padded to 4 bytes; the parser relies on it.
	if len(b) < unix.SizeofIfInfomsg || len(b)%unix.NLMSG_ALIGNTO != 0 {
		return link{}, false, fmt.Errorf("link message of %d bytes", len(b))
	}
	msg := nl.DeserializeIfInfomsg(b)
	// A bridge sends messages of its own family about its ports: other facts,
	// and an RTM_DELLINK among them only says that the port has left.
	if msg.Family != unix.AF_UNSPEC {
		return link{}, false, nil
	}
	attrs, err := nl.ParseRouteAttr(b[unix.SizeofIfInfomsg:])
	if err != nil {
		return link{}, false, fmt.Errorf("attributes of link %d: %w", msg.Index, err)
	}
	const upAndRunning = unix.IFF_UP | unix.IFF_RUNNING
	u = link{
		index: int(msg.Index),
		up:    msg.Flags&upAndRunning == upAndRunning,
		gone:  msgType == unix.RTM_DELLINK,
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.IFLA_IFNAME {
			u.name = unix.ByteSliceToString(a.Value)
		}
	}
	return u, true, nil
}
