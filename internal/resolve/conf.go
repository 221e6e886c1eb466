package resolve

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// conf is how this host asks.
type conf struct {
	servers []string // HOST:PORT
	search  []string // fully qualified
	ndots   int
	timeout time.Duration // of one question to one server
	rounds  int           // over all servers
}

// readConf reads a file in the format of resolv.conf(5). Without a nameserver in it
// the one of this host is asked, as the C library does.
func readConf(path string) (conf, error) {
	c, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return conf{}, fmt.Errorf("read %s: %w", path, err)
	}
	out := conf{ndots: c.Ndots, timeout: time.Duration(c.Timeout) * time.Second, rounds: max(c.Attempts, 1)}
	out.timeout = min(max(out.timeout, time.Second), 5*time.Second)
	for _, s := range c.Servers {
		out.servers = append(out.servers, net.JoinHostPort(s, c.Port))
	}
	if len(out.servers) == 0 {
		out.servers = []string{"127.0.0.1:53"}
	}
	for _, s := range c.Search {
		out.search = append(out.search, dns.Fqdn(s))
	}
	return out, nil
}

// candidates returns the full names that name may mean, in the order in which they
// are asked for: with fewer dots than ndots, those of the search list first.
func (c conf) candidates(name string) []string {
	if dns.IsFqdn(name) {
		return []string{name}
	}
	full := dns.Fqdn(name)
	var all []string
	for _, s := range c.search {
		all = append(all, full+strings.TrimPrefix(s, "."))
	}
	if strings.Count(name, ".") >= c.ndots {
		return append([]string{full}, all...)
	}
	return append(all, full)
}

// readHosts returns the addresses that a file in the format of hosts(5) has for
// name. A host without such a file has none.
func readHosts(path, name string) []netip.Addr {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	name = strings.TrimSuffix(name, ".")
	var found []netip.Addr
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, f := range fields[1:] {
			if strings.EqualFold(strings.TrimSuffix(f, "."), name) {
				found = append(found, a.Unmap())
			}
		}
	}
	return found
}
