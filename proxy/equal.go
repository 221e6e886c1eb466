package proxy

import "slices"

// Equal reports whether p and q name the same servers in the same order, balanced,
// checked and bounded alike.
func (p Pool) Equal(q Pool) bool {
	return p.Name == q.Name && p.Balance == q.Balance && p.Check == q.Check &&
		p.Timeouts == q.Timeouts && p.Limits == q.Limits &&
		slices.Equal(p.Servers, q.Servers)
}
