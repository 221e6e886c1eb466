// Package exam finds out what package doctor is to judge: of this host, of its networks,
// and of the node that runs on it, if one does. It changes nothing, and sends nothing
// but questions: who has an address, and whether a port answers.
package exam

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/certs"
	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/doctor"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/place"
)

// Options say which node is looked at.
type Options struct {
	Path       string // of the config
	Node       string // its name; empty: the one whose address this host has
	Socket     string // of the node that runs, if one does
	State      string // folder for what outlives the process; empty: the config says
	WorkerUser string // that the node would run its worker as; empty: this user
	Listen     time.Duration
}

// askWithin bounds a question to the node or to a peer.
const askWithin = 2 * time.Second

// exam is an examination under way.
type exam struct {
	Options
	facts   *doctor.Facts
	config  *config.Config
	self    config.Node
	routers []ipc.Router
	status  *admin.Status // nil: no node runs
}

// Examine collects facts. It takes as long as it listens for other routers.
func Examine(ctx context.Context, o Options) *doctor.Facts {
	e := &exam{Options: o, facts: &doctor.Facts{}}
	e.readConfig()
	e.askNode(ctx)
	e.interfaces()
	e.process()
	e.kernel()
	e.vips()
	e.managers()
	e.machine()
	e.clock()
	if e.config != nil {
		e.files()
		if e.status == nil {
			e.ports(ctx)
		}
		e.others(ctx)
		e.firewall(ctx)
	}
	return e.facts
}

// unknown notes that something could not be found out.
func (e *exam) unknown(what string, err error) {
	if err != nil {
		e.facts.Unknown = append(e.facts.Unknown, what+": "+err.Error())
	}
}

func (e *exam) readConfig() {
	c := &e.facts.Config
	c.Path = e.Path
	src, err := os.ReadFile(c.Path)
	if err == nil {
		e.config, err = config.Parse(c.Path, src)
	}
	if err != nil {
		c.Error = err.Error()
		return
	}
	host, err := place.Interfaces()
	if err != nil {
		c.Place = err.Error()
		return
	}
	if len(e.config.Nodes) == 0 {
		return
	}
	if e.self, err = e.config.Local(e.Node, place.Addresses(host)); err != nil {
		c.Place = err.Error()
		return
	}
	c.Node, c.RealTime = e.self.Name, len(e.config.VIPs) > 0
	if len(e.config.Nodes) > 1 {
		c.Port = e.config.Cluster.Port
	}
	if e.routers, err = place.Routers(e.config, e.self, host); err != nil {
		c.Place = err.Error()
	}
	c.VirtualMAC = slices.ContainsFunc(e.routers, func(r ipc.Router) bool { return r.VirtualMAC })
}

// askNode asks the node that runs here, if one does: where it was said to listen, or where
// its config says.
func (e *exam) askNode(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	s, err := admin.NewClient(e.Socket).Status(ctx)
	if err != nil && e.config != nil && e.config.Admin.Socket != config.DefaultSocket && e.config.Admin.Socket != e.Socket {
		e.Socket = e.config.Admin.Socket
		s, err = admin.NewClient(e.Socket).Status(ctx)
	}
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			e.unknown("the node that runs", err)
		}
		return
	}
	e.status = s
	r := &doctor.Running{Descriptors: s.Overload.DescriptorLimit}
	if s.Agent != nil {
		r.Realtime, r.Locked = s.Agent.Realtime, s.Agent.MemoryLocked
	}
	if s.Sandbox != nil {
		r.Sandbox, r.Confined = s.Sandbox.String(), len(s.Sandbox.Missing) == 0 && s.Sandbox.Capabilities == ""
	}
	r.PeerAlive = len(s.Peers) > 0 && !slices.ContainsFunc(s.Peers, func(p admin.Peer) bool { return !p.Alive })
	e.facts.Running = r
}

// vips are the virtual routers of the config, with what the node says of them.
func (e *exam) vips() {
	for _, r := range e.routers {
		v := doctor.VIP{
			Name: r.Name, Interface: r.Interface, RouterID: r.Params.VRID, Version: r.Params.Version, Self: r.Params.Self.WithZone(""),
			Prefixes: r.Prefixes, Apart: !e.beside(r.Interface),
		}
		if e.status != nil {
			v.Holds = slices.ContainsFunc(e.status.VIPs, func(s admin.VIP) bool { return s.Name == r.Name && s.Holds })
		}
		e.facts.VIPs = append(e.facts.VIPs, v)
	}
}

// beside reports whether an interface has this node's own address: the peers' are on that
// link then.
func (e *exam) beside(ifname string) bool {
	return slices.ContainsFunc(e.facts.Interfaces[ifname].Prefixes, func(p netip.Prefix) bool { return p.Addr() == e.self.Address })
}

// files are those that the config names, and the folders that a node writes to.
func (e *exam) files() {
	f, now := &e.facts.Files, time.Now()
	keeper, err := certs.Load(e.config.Proxy, now, nil)
	if err != nil {
		f.Errors = append(f.Errors, strings.Split(err.Error(), "\n")...)
	} else {
		for _, n := range keeper.Status(now).Notices {
			f.Warnings = append(f.Warnings, n.String())
		}
	}
	for _, s := range []doctor.Secret{
		{What: "cluster.key_file", Path: e.config.Cluster.KeyFile}, {What: "admin.token_file", Path: e.config.Admin.TokenFile},
	} {
		if s.Path == "" {
			continue
		}
		if file, err := os.Open(s.Path); err != nil {
			s.Error, s.Missing = err.Error(), errors.Is(err, os.ErrNotExist)
		} else {
			if info, err := file.Stat(); err == nil {
				s.Mode = uint32(info.Mode().Perm())
			}
			file.Close()
		}
		f.Secrets = append(f.Secrets, s)
	}
	state := e.State
	if state == "" {
		state = e.config.State
	}
	if e.status == nil {
		f.Folders = append(f.Folders, folder("the folder of the admin socket", filepath.Dir(e.Socket)), folder("the folder for events", state))
	}
}

// addressesOf returns the addresses of all VIPs on an interface, of one family.
func (e *exam) addressesOf(ifname string, is4 bool) (all []netip.Addr) {
	for _, r := range e.routers {
		for _, p := range r.Prefixes {
			if r.Interface == ifname && p.Addr().Is4() == is4 && !slices.Contains(all, p.Addr()) {
				all = append(all, p.Addr())
			}
		}
	}
	return all
}
