// Package config turns the text of a configuration file into a validated
// Config, or into the list of everything that is wrong with it, each with its
// place in the file. It is pure: it opens no file, resolves no name and asks
// nothing of the host.
//
// Quotes never change what a value means, except that "" is an empty text
// where nothing at all is a missing value.
package config

import (
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/source"
	"github.com/tandemlb/tandem/internal/config/traffic"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/vrrp"
)

// DefaultSocket is the path of the admin socket where the file names none.
const DefaultSocket = "/run/tandem/admin.sock"

// DefaultState is the directory for what outlives the process where the file names
// none.
const DefaultState = "/var/lib/tandem"

const emptyFile = "the file is empty: it needs at least `listeners`, or `nodes` and a `vip`"

// Errors is everything wrong with a configuration file.
type Errors = source.Errors

// Config is a valid configuration with every default filled in. It is the same
// on all nodes, and is not modified once parsed.
type Config struct {
	Nodes   []Node // in the order of the file; at most two
	Cluster Cluster
	VIPs    []VIP // empty without Nodes
	Proxy   proxy.Spec
	Log     Log
	Metrics Metrics
	Admin   Admin
	State   string // directory for what outlives the process
}

// Node is one of the hosts that share the VIPs.
type Node struct {
	Name    string
	Address netip.Addr // unique
}

// Cluster says how the nodes talk to each other.
type Cluster struct {
	KeyFile string // path of the key that encrypts the talk; empty for plain text
	Port    uint16 // TCP and UDP
}

// VIP is a set of virtual addresses that move between the nodes together.
type VIP struct {
	Name string
	// Prefixes are the addresses with their host bits: first those of IPv4, then
	// those of IPv6, which begin with the link-local one of the virtual router.
	Prefixes  []netip.Prefix   // at most 255 of each family
	Interface string           // empty: the one where the node's own address lives
	RouterID  uint8            // VRRP VRID, 1..255
	Prefer    string           // name of the node with the highest priority
	Priority  map[string]uint8 // of every node, all different: 1..254, or 255 for Owner
	Owner     string           // the node whose own address is among the Prefixes; mostly empty
	Preempt   bool
	// PreemptDelay is how long a node is fit before it preempts; 0 without Preempt.
	PreemptDelay time.Duration
	Advertise    time.Duration // 10 ms..40.95 s, in steps of 10 ms; in version 2 whole seconds
	Version      uint8         // of VRRP: 2 or 3
	Checksum     vrrp.ChecksumPolicy
	Unicast      bool
	VirtualMAC   bool
	Group        string        // VIPs of one group move together; the name of the VIP unless said otherwise
	Lease        time.Duration // whole seconds, longer than the down interval
	Track        Track
}

// Track is what a node loses priority without.
type Track struct {
	Interfaces []string
	Gateway    netip.Addr // the zero Addr: none
	Servers    bool       // whether a node stands back that reaches no server while its peer does
}

// Log says what the daemon logs of itself; of the traffic, proxy.Log does.
type Log struct {
	Level string // debug | info | warn | error
}

// Metrics says where the node is asked for its metrics, beside the admin socket.
type Metrics struct {
	Listen netip.AddrPort // the zero AddrPort: nowhere
}

// Admin says where the node is asked and told things.
type Admin struct {
	Socket string         // path of the unix socket
	Listen netip.AddrPort // of the status page and the API on TCP; the zero value: nowhere
	// TokenFile is the path of what a caller on TCP must know; mostly empty for a
	// loopback address, on which then nothing can be changed.
	TokenFile string
	TLS       AdminTLS // the zero value: plain HTTP, on a loopback address alone
	Names     []string // in lower case, under which a browser may ask, beside addresses
}

// AdminTLS are the paths of the certificate with its chain and of its key, both in
// PEM; of both or of none.
type AdminTLS struct{ Cert, Key string }

// Parse reads the configuration src; name stands for it in messages. When
// anything is wrong the error is of type Errors and lists all of it, in the
// order of the file.
func Parse(name string, src []byte) (*Config, error) {
	d := &decoder{notation.New(source.New(name, src))}
	var c Config
	if root := d.Root(emptyFile); root != nil {
		c = d.config(notation.Field{Value: root})
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	return &c, nil
}

// decoder reads what this package is about; of the traffic, package traffic does.
type decoder struct{ *notation.Decoder }

func (d *decoder) config(root notation.Field) Config {
	f := d.Object(root, "nodes", "cluster", "vip", "vips", "listeners", "pools", "log", "metrics", "tracing", "admin", "state")
	var c Config
	c.Nodes = d.nodes(f["nodes"])
	c.Cluster = d.cluster(f["cluster"])
	c.VIPs = d.vips(f, c.Nodes)
	own, requests := d.log(f["log"])
	c.Log = own
	c.Proxy = traffic.Decode(d.Decoder, f["pools"], f["listeners"], requests)
	c.Proxy.Tracing = d.tracing(f["tracing"])
	c.Metrics = d.metrics(f["metrics"])
	c.Admin = d.admin(f["admin"])
	c.State = d.Path(f["state"], DefaultState, maxPath)
	return c
}

// maxPath leaves room for the names of files: the kernel takes 4096 bytes.
const maxPath = 3072
