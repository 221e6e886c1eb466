package supervisor

import (
	"maps"
	"slices"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/roster"
)

func pools(w workerView) []admin.Pool {
	all := []admin.Pool{}
	if w.state == nil {
		return all
	}
	for _, p := range w.state.Pools {
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

// names returns what DNS has said, sorted by name.
func names(answers map[string]roster.Answer) []admin.Name {
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
