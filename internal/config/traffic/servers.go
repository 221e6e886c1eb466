package traffic

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

const (
	maxWeight      = 1000
	maxConnections = 1_000_000 // more than that many descriptors no process has
)

func (d *decoder) servers(f notation.Field, pool string) []proxy.Server {
	var servers []proxy.Server
	for _, e := range d.List(f, "server") {
		if s, ok := d.server(e, pool); ok {
			servers = append(servers, s)
		}
	}
	return servers
}

func (d *decoder) server(f notation.Field, pool string) (proxy.Server, bool) {
	mark := d.Count()
	address := f
	var o notation.Fields
	if f.Value.Kind == yaml.MappingNode {
		o = d.Object(f, "address", "name", "weight", "max_connections", "backup")
		address = o["address"]
		if !address.Set() && d.OK(mark) {
			d.Errorf(f.Value, "the server has no address")
		}
	}
	s := proxy.Server{
		Weight:         d.Number(o["weight"], 1, 0, maxWeight),
		MaxConnections: d.Number(o["max_connections"], 0, 0, maxConnections),
		Backup:         d.Boolean(o["backup"], false),
	}
	if !address.Set() {
		return s, false
	}
	var ok bool
	if s.Address, s.Host, ok = d.destination(address); !ok {
		return s, false
	}
	if s.Name = s.Host; s.Host == "" {
		s.Name = s.Address.String()
	}
	d.Claim(address, s.Name, "a server of pool "+pool)
	if name := o["name"]; name.Set() {
		if s.Name, ok = d.Text(name, "a name"); ok {
			d.CheckName(name.Value, s.Name)
			d.Claim(name, s.Name, "the name of a server of pool "+pool)
		}
	}
	return s, d.OK(mark)
}

// destination returns what f says to connect to: an address, or the name under
// which one is found.
func (d *decoder) destination(f notation.Field) (addr netip.AddrPort, host string, ok bool) {
	got, ok := d.Text(f, "an address and port such as 192.0.2.21:8080")
	if !ok {
		return addr, "", false
	}
	name, _, err := net.SplitHostPort(got)
	if err != nil || !isName(name) {
		addr, ok = d.Destination(f)
		return addr, "", ok
	}
	host, err = parseHostPort(got)
	if err != nil {
		d.Invalid(f, "%s", err)
	}
	return addr, host, err == nil
}

// isName reports whether host is meant as a name, not as an address.
func isName(host string) bool {
	return host != "" && host != "*" && !strings.Contains(host, ":") && strings.Trim(host, "0123456789.") != ""
}

// parseHostPort parses NAME:PORT, and returns it in lower case.
func parseHostPort(s string) (string, error) {
	name, service, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is not a host name and port such as web.internal:8080", s)
	}
	if name, err = notation.ParseHost(name); err != nil {
		return "", err
	}
	if _, ok := notation.Decimal(service, 1, math.MaxUint16); !ok {
		return "", fmt.Errorf("port %q of %q is not a number from 1 to 65535", service, s)
	}
	return name + ":" + service, nil
}

// discover returns where the addresses of further servers are found.
func (d *decoder) discover(f notation.Field) proxy.Discover {
	if !f.Set() {
		return proxy.Discover{}
	}
	const what = "NAME:PORT such as web.internal:8080, or the name of SRV records such as _http._tcp.web.internal"
	mark := d.Count()
	o := d.Object(f, "dns")
	dns := o["dns"]
	if !dns.Set() {
		if d.OK(mark) {
			d.Invalid(f, "it needs a name, such as {dns: web.internal:8080}")
		}
		return proxy.Discover{}
	}
	got, ok := d.Text(dns, what)
	if !ok {
		return proxy.Discover{}
	}
	name, err := parseDiscovery(got)
	if err != nil {
		d.Invalid(dns, "%s", err)
	}
	return proxy.Discover{DNS: name}
}

// parseDiscovery parses a name whose records are the servers.
func parseDiscovery(s string) (string, error) {
	labels := strings.Split(s, ".")
	if service := len(labels) > 2 && strings.HasPrefix(labels[0], "_") && strings.HasPrefix(labels[1], "_"); service {
		if strings.Contains(s, ":") {
			return "", fmt.Errorf("%q has a port: SRV records say it themselves", s)
		}
		return notation.ParseHost(s)
	}
	if host, _, err := net.SplitHostPort(s); err != nil {
		return "", fmt.Errorf("%q is neither NAME:PORT, such as web.internal:8080, nor the name of SRV records, such as _http._tcp.web.internal", s)
	} else if !isName(host) {
		return "", fmt.Errorf("%q is an address: list it under servers", s)
	}
	return parseHostPort(s)
}

// usable refuses a pool of which no server would ever get work.
func (d *decoder) usable(o notation.Fields, p proxy.Pool) {
	servers := o["servers"]
	if len(p.Servers) == 0 || p.Discover.DNS != "" {
		return
	}
	if !slices.ContainsFunc(p.Servers, func(s proxy.Server) bool { return s.Weight > 0 }) {
		d.Invalid(servers, "every server has weight 0, none would get work: give one of them a share")
	}
	if !slices.ContainsFunc(p.Servers, func(s proxy.Server) bool { return !s.Backup }) {
		d.Invalid(servers, "every server is a backup: of whom? leave backup out where it is the first choice")
	}
}
