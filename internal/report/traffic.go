package report

import (
	"maps"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/listen"
	"github.com/tandemlb/tandem/internal/roster"
	"github.com/tandemlb/tandem/proxy"
)

// Pools is what the API tells of the pools. st, which may be nil, is what the worker
// says.
func Pools(st *ipc.WorkerState) []admin.Pool {
	all := []admin.Pool{}
	if st == nil {
		return all
	}
	for _, p := range st.Pools {
		a := admin.Pool{
			Name: p.Name, Servers: []admin.Server{}, Active: p.Active, Most: p.Most,
			Waiting: p.Waiting, QueueLength: p.QueueLength, Queued: p.Queued, QueueRefused: p.QueueRefused, QueueLeft: p.QueueLeft,
			Retries: p.Retries, RetriesRefused: p.RetriesRefused, RetryBudget: p.RetryBudget,
			Breaker: admin.Breaker(p.Breaker),
		}
		for _, s := range p.Servers {
			a.Servers = append(a.Servers, server(s))
		}
		all = append(all, a)
	}
	return all
}

func server(s ipc.ServerState) admin.Server {
	return admin.Server{
		Name: s.Name, Address: s.Address, Host: s.Host, Checked: s.Checked,
		Health: s.Health, Since: s.Since, Reason: s.Reason,
		Active: s.Active, Served: s.Served, Failed: s.Failed,
		Share: admin.Share(s.Share), Ejected: admin.Ejection(s.Ejected), Breaker: admin.Breaker(s.Breaker),
	}
}

// Names returns what DNS has said, sorted by name.
func Names(answers map[string]roster.Answer) []admin.Name {
	var all []admin.Name
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		a := answers[name]
		n := admin.Name{Name: name, Addresses: []string{}, At: a.At, Error: a.Err}
		for _, t := range a.Targets {
			n.Addresses = append(n.Addresses, t.Address.String())
		}
		slices.Sort(n.Addresses)
		all = append(all, n)
	}
	return all
}

// Listeners is what the API tells of the listeners of a spec. st, which may be nil, is
// what the worker says.
func Listeners(spec proxy.Spec, st *ipc.WorkerState) []admin.Listener {
	counters := map[string]ipc.ListenerState{}
	if st != nil {
		for _, l := range st.Listeners {
			counters[l.Name] = l
		}
	}
	all := []admin.Listener{}
	for _, l := range spec.Listeners {
		c := counters[l.Name]
		a := admin.Listener{Name: l.Name, Protocol: string(l.Protocol), Pool: strings.Join(l.Pools(), ", "),
			Connections: c.Connections, Accepted: c.Accepted, Requests: c.Requests, Failed: c.Failed,
			Shed: c.Shed, Refused: c.Refused, In: admin.Datagrams(c.In), Out: admin.Datagrams(c.Out)}
		if l.TLS != nil {
			a.TLS = &admin.TLSTraffic{TLS12: admin.Handshakes(c.TLS.TLS12), TLS13: admin.Handshakes(c.TLS.TLS13)}
		}
		for _, b := range l.Bind {
			a.Bind = append(a.Bind, listen.Text(b))
		}
		all = append(all, a)
	}
	return all
}
