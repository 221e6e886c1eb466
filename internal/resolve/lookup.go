package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/tandemlb/tandem/internal/roster"
)

// payload is what is offered by EDNS0: it passes every path without fragments
// (DNS flag day 2020).
const payload = 1232

// lookup asks for one name of the config: HOST:PORT, or that of SRV records.
func lookup(ctx context.Context, o Options, name string) result {
	c, err := readConf(o.ResolvConf)
	if err != nil {
		return result{err: err}
	}
	q := asker{conf: c, hosts: o.Hosts}
	host, service, err := net.SplitHostPort(name)
	if err != nil {
		return q.services(ctx, name)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return result{err: fmt.Errorf("port %q: %w", service, err)}
	}
	addrs, ttl, err := q.addresses(ctx, host)
	got := result{ttl: ttl, err: err}
	for _, a := range addrs {
		got.targets = append(got.targets, roster.Target{Address: netip.AddrPortFrom(a, uint16(port))})
	}
	return got
}

type asker struct {
	conf  conf
	hosts string
}

// hostsTTL is how often the hosts file is read again.
const hostsTTL = 10 * time.Second

// addresses returns the addresses of both families.
func (q asker) addresses(ctx context.Context, host string) ([]netip.Addr, time.Duration, error) {
	if found := readHosts(q.hosts, host); len(found) > 0 {
		return found, hostsTTL, nil
	}
	return first(q.conf.candidates(host), func(full string) ([]netip.Addr, time.Duration, error) {
		var all []netip.Addr
		ttl := maxTTL
		var failed error
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
			m, err := q.ask(ctx, full, kind)
			if err != nil {
				failed = err
				continue
			}
			for _, rr := range m.Answer {
				if a, ok := address(rr); ok {
					all = append(all, a)
				}
				ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)
			}
		}
		// Half an answer says nothing of the servers of the other family.
		if failed != nil {
			return all, 0, failed
		}
		if len(all) == 0 {
			return nil, 0, errEmpty
		}
		return all, ttl, nil
	})
}

// first returns what the first of names that exists has. A name that cannot be
// asked for ends the search: the next one would be another host.
func first[T any](names []string, of func(string) ([]T, time.Duration, error)) ([]T, time.Duration, error) {
	for _, name := range names {
		found, ttl, err := of(name)
		if !errors.Is(err, errEmpty) {
			return found, ttl, err
		}
	}
	return nil, 0, errEmpty
}

func address(rr dns.RR) (netip.Addr, bool) {
	var a netip.Addr
	var ok bool
	switch rr := rr.(type) {
	case *dns.A:
		a, ok = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		a, ok = netip.AddrFromSlice(rr.AAAA)
	}
	return a.Unmap(), ok
}

// services returns the targets of SRV records (RFC 2782).
func (q asker) services(ctx context.Context, name string) result {
	records, ttl, err := first(q.conf.candidates(name), func(full string) ([]*dns.SRV, time.Duration, error) {
		m, err := q.ask(ctx, full, dns.TypeSRV)
		if err != nil {
			return nil, 0, err
		}
		ttl := maxTTL
		var all []*dns.SRV
		for _, rr := range m.Answer {
			ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)
			if s, ok := rr.(*dns.SRV); ok && s.Target != "." { // which says that there is no such service
				all = append(all, s)
			}
		}
		if len(all) == 0 {
			return nil, 0, errEmpty
		}
		return all, ttl, nil
	})
	if err != nil {
		return result{err: err}
	}
	got := result{ttl: ttl}
	for _, s := range records {
		addrs, ttl, err := q.addresses(ctx, s.Target)
		if errors.Is(err, errEmpty) {
			continue // one that is gone does not keep the others from being used
		}
		if err != nil {
			return result{err: fmt.Errorf("target %s: %w", s.Target, err)}
		}
		got.ttl = min(got.ttl, ttl)
		for _, a := range addrs {
			got.targets = append(got.targets, roster.Target{Address: netip.AddrPortFrom(a, s.Port), Priority: s.Priority, Weight: s.Weight, Service: true})
		}
	}
	if len(got.targets) == 0 {
		return result{err: errEmpty}
	}
	return got
}

// ask asks one server after the other until one answers. A name that does not exist
// is an answer, without records.
func (q asker) ask(ctx context.Context, full string, kind uint16) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(full, kind)
	m.SetEdns0(payload, false)
	var errs []error
	for range q.conf.rounds {
		errs = nil // of the newest round: the others say the same
		for _, server := range q.conf.servers {
			reply, err := q.exchange(ctx, m, server)
			if err == nil {
				return reply, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			errs = append(errs, fmt.Errorf("ask %s for %s: %w", server, strings.TrimSuffix(full, "."), err))
		}
	}
	return nil, errors.Join(errs...)
}

func (q asker) exchange(ctx context.Context, m *dns.Msg, server string) (*dns.Msg, error) {
	c := dns.Client{Net: "udp", Timeout: q.conf.timeout, UDPSize: payload}
	reply, _, err := c.ExchangeContext(ctx, m, server)
	if err == nil && reply.Truncated {
		c.Net = "tcp"
		reply, _, err = c.ExchangeContext(ctx, m, server)
	}
	if err != nil {
		return nil, err
	}
	switch reply.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
		return reply, nil
	case dns.RcodeFormatError, dns.RcodeNotImplemented:
		// A server from before EDNS0 (RFC 6891, section 7).
		if m.IsEdns0() != nil {
			plain := new(dns.Msg).SetQuestion(m.Question[0].Name, m.Question[0].Qtype)
			return q.exchange(ctx, plain, server)
		}
	}
	return nil, fmt.Errorf("it answers %s", dns.RcodeToString[reply.Rcode])
}
