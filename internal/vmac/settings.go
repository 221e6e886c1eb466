package vmac

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// settings are sysctls of an interface: net/ipv4/conf/IFNAME/arp_ignore is
// "ipv4/arp_ignore".
type settings map[string]int

// parentSettings are what the parent of a virtual router of IPv4 needs at least.
// It is the parent that the replies to clients leave from, by the host's route.
var parentSettings = settings{
	// An ARP request for the virtual address reaches the parent too: it answers
	// for addresses of its own alone.
	"ipv4/arp_ignore": 1,
	// Before it answers a client it may have to ask for that one's MAC address,
	// and does not do so in the name of the virtual address: the client would
	// take the parent's MAC address for that of the virtual router.
	"ipv4/arp_announce": 2,
}

// settings are those of the interface of m itself.
func (m Macvlan) settings() settings {
	s := settings{
		// ARP requests for the parent's addresses reach it too: it answers for its
		// own alone, and for IPv6 has none.
		"ipv4/arp_ignore": 1,
	}
	if m.IPv6 {
		s["ipv6/disable_ipv6"] = 0 // the default of new interfaces may be 1
		// No address is to be derived from the MAC address (RFC 9568, section
		// 7.4), neither link-local nor from router advertisements.
		s["ipv6/addr_gen_mode"] = 1
		s["ipv6/accept_ra"] = 0
		return s
	}
	s["ipv6/disable_ipv6"] = 1
	// What clients send arrives here, but the route to them is the parent's. 2 and
	// not 0: the strict check may be in force for all interfaces.
	s["ipv4/rp_filter"] = 2
	return s
}

func path(ifname, key string) string {
	family, name, _ := strings.Cut(key, "/")
	return "/proc/sys/net/" + family + "/conf/" + ifname + "/" + name
}

func read(ifname, key string) (int, error) {
	text, err := os.ReadFile(path(ifname, key))
	if err != nil {
		return 0, fmt.Errorf("read sysctl: %w", err)
	}
	value, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("value of sysctl %s: %w", path(ifname, key), err)
	}
	return value, nil
}

func (s settings) write(ifname string) error {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		err := os.WriteFile(path(ifname, key), []byte(strconv.Itoa(s[key])), 0)
		switch absent := errors.Is(err, os.ErrNotExist) && strings.HasPrefix(key, "ipv6/"); {
		case absent && key == "ipv6/disable_ipv6" && s[key] == 1:
			continue
		case absent:
			return fmt.Errorf("the kernel has no IPv6: set sysctl to %d: %w", s[key], err)
		case err != nil:
			return fmt.Errorf("set sysctl to %d: %w", s[key], err)
		}
	}
	return nil
}

// restore writes those of a parent's settings back that still have our values.
func (s settings) restore(ifname string) error {
	changed := settings{}
	for key, original := range s {
		value, err := read(ifname, key)
		if err != nil {
			return err
		}
		if value == parentSettings[key] {
			changed[key] = original
		}
	}
	return changed.write(ifname)
}

// aliasMark begins the alias of the interfaces that are ours.
const aliasMark = "tandem:"

// mark returns the alias of a macvlan: what its parent had before, such as
// "tandem: ipv4/arp_announce=0 ipv4/arp_ignore=0".
func (s settings) mark() string {
	text := aliasMark
	for _, key := range slices.Sorted(maps.Keys(s)) {
		text += fmt.Sprintf(" %s=%d", key, s[key])
	}
	return text
}

// parseMark reads an alias; ok is false when it is not of our making.
func parseMark(alias string) (s settings, ok bool) {
	text, ok := strings.CutPrefix(alias, aliasMark)
	if !ok {
		return nil, false
	}
	s = settings{}
	for _, field := range strings.Fields(text) {
		key, number, _ := strings.Cut(field, "=")
		value, err := strconv.Atoi(number)
		if _, known := parentSettings[key]; known && err == nil {
			s[key] = value
		}
	}
	return s, true
}
