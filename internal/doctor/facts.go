package doctor

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Facts are what a host says of itself. What could not be found out has its zero value,
// or is in Unknown.
type Facts struct {
	Config  Config
	Running *Running // nil: no node answers on the admin socket
	Process Process
	Kernel  Kernel
	// Interfaces are all of the host, by name.
	Interfaces map[string]Interface
	VIPs       []VIP
	Heard      []Advert // what was heard of VRRP on the interfaces of the VIPs
	Listened   time.Duration
	Peers      []Peer
	Ports      []Port
	Managers   []Manager
	Programs   []string // names of programs that run here and do what Tandem does: keepalived, haproxy
	Firewall   Firewall
	Clock      Clock
	Files      Files
	Machine    Machine
	Unknown    []string // what could not be found out, and why
}

// InterfaceSysctl names a setting of an interface for a family, "ipv4" or "ipv6", as sysctl
// writes it: a dot in the interface's name, as those of VLANs have one, is a slash.
func InterfaceSysctl(family, ifname, name string) string {
	return "net." + family + ".conf." + strings.ReplaceAll(ifname, ".", "/") + "." + name
}

// Links returns the interfaces of the VIPs, each once.
func (f *Facts) Links() (names []string) {
	for _, v := range f.VIPs {
		if !slices.Contains(names, v.Interface) {
			names = append(names, v.Interface)
		}
	}
	return names
}

// Config is what the config says, as far as it matters here.
type Config struct {
	Path  string
	Error string // why it cannot be read, or is refused; empty: it is good
	Node  string // the name of this node; empty: the config names none
	// Place is why the VIPs have no place on this host; empty: they have.
	Place      string
	RealTime   bool // there are VIPs: there is a heartbeat
	VirtualMAC bool
	Port       uint16 // of gossip; 0: there is no other node
}

// Running is what a node that runs says of itself.
type Running struct {
	Realtime, Locked string // "yes", or why not; empty: it has no agent
	Sandbox          string // of the worker, in one line
	Confined         bool   // nothing is missing of the sandbox
	Descriptors      uint64 // the worker may have; 0: any number
	PeerAlive        bool
}

// Process is what a node started as the user who asks would have; of a running node,
// what that has.
type Process struct {
	UID            int
	Effective      uint64 // capabilities
	Of             string // whose they are: "this shell", "the running supervisor"
	Descriptors    uint64 // hard limit; 0: none
	LockedMemory   uint64 // hard limit in bytes; 0: none
	RealtimeLimit  uint64 // RLIMIT_RTPRIO
	Memory         uint64 // limit of the cgroup in bytes; 0: none
	Tasks          uint64 // limit of the cgroup; 0: none
	CPU            float64
	WorkerUser     string // that a node of root runs its worker as
	Executable     string // path of this program
	ExecutableMode uint32 // permission bits
}

// Kernel is what the kernel has and how it is set.
type Kernel struct {
	// Sysctls are by their name, "net.core.somaxconn". What there is not is left out.
	Sysctls  map[string]string
	Landlock int // version of its ABI; 0: it is not there
	// ReadOnly: /proc/sys cannot be written.
	ReadOnly bool
}

// Interface is an interface of the host.
type Interface struct {
	Index    int
	Up       bool
	Carrier  bool
	MTU      int
	Prefixes []netip.Prefix
}

// VIP is a virtual router that the config asks for on this host.
type VIP struct {
	Name      string // of the entry, with the family
	Interface string
	RouterID  uint8
	Version   uint8
	Self      netip.Addr // that is advertised from
	Prefixes  []netip.Prefix
	Apart     bool // its network is not that of the nodes' own addresses
	Holds     bool // the running node has the addresses
	// Answers are the MAC addresses that answered for an address, of hosts beyond this.
	Answers map[netip.Addr][]string
}

// Advert is an advertisement of VRRP that was heard.
type Advert struct {
	Interface string
	From      netip.Addr
	RouterID  uint8
	Version   uint8
	Priority  uint8
	Addresses []netip.Addr
}

// Peer is another node of the config.
type Peer struct {
	Name    string
	Address netip.Addr
	MAC     string // that answers for its address; empty: none, or it is not on the link
	// Gossip is what came of calling its port of gossip: "open", "refused", or why it
	// was not reached; empty: nobody has tried.
	Gossip string
}

// Port is an address that a node would bind.
type Port struct {
	For   string // "listener web"
	Bind  netip.AddrPort
	UDP   bool
	Error string // why it cannot; empty: it can
	InUse bool   // the error is that somebody has it
	By    string // who: "nginx (pid 812)"; empty: unknown
}

// Manager is a program that configures networks.
type Manager struct {
	Name string // "systemd-networkd", "NetworkManager", "dhcpcd", "connman"
	// Manages are the interfaces of VIPs that it manages.
	Manages []string
	// Keeps are those of them where it leaves addresses of others alone.
	Keeps []string
}

// Firewall is what was found of packet filters.
type Firewall struct {
	Tool  string // that told: "nft", "iptables"; empty: none
	Rules string // as it prints them
}

// Clock is what the kernel thinks of its clock.
type Clock struct {
	Known        bool
	Synchronized bool
	Error        time.Duration // greatest, by its estimate
}

// Files are the files and folders that a node uses.
type Files struct {
	Errors   []string // that would keep a node from starting
	Warnings []string // of certificates that end soon, and keys that others can read
	// Secrets are files that hold secrets.
	Secrets []Secret
	Folders []Folder
}

// Secret is a file that holds a secret.
type Secret struct {
	What, Path string
	Mode       uint32 // permission bits
	Error      string // why it cannot be read
	Missing    bool   // it is not there
}

// Folder is a folder that a node writes to.
type Folder struct {
	What, Path string
	Error      string // why it cannot be written; empty: it can
}

// Machine is what the host runs on.
type Machine struct {
	Container string // "docker", "podman", "systemd-nspawn"; empty: none
	Cloud     string // its name; empty: none is known
}
