package traffic

import (
	"slices"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// suitable refuses settings of a pool that mean nothing to some listener which sends
// to it: its clients would not get what the pool promises.
func (d *decoder) suitable(pools []proxy.Pool) {
	for _, p := range pools {
		keys, uses := d.keys[p.Name], d.uses[p.Name]
		d.unsuitable(keys["sticky"], uses, "a cookie is of HTTP", proxy.TCP, proxy.UDP)
		if p.HashOn.Kind != proxy.KeyClient {
			d.unsuitable(keys["hash_on"], uses, "it names something of HTTP, where hash_on: client does for all", proxy.TCP, proxy.UDP)
		}
		d.unsuitable(keys["send_proxy"], uses, "the header begins a connection", proxy.UDP)
		if p.TLS != nil {
			d.unsuitable(keys["tls"], uses, "TLS is of connections", proxy.UDP)
			d.encryptedTwice(keys["tls"], uses)
		}
		if p.Limits.Queue > 0 && !slices.ContainsFunc(uses, func(u use) bool { return u.protocol != proxy.UDP }) {
			d.unsuitable(keys["limits"], uses, "it has a queue, and a datagram does not wait for its turn", proxy.UDP)
		}
	}
}

// unsuitable refuses f, if it is set, for the sake of the first of uses that speaks
// one of protocols.
func (d *decoder) unsuitable(f notation.Field, uses []use, why string, protocols ...proxy.Protocol) {
	first := slices.IndexFunc(uses, func(u use) bool { return slices.Contains(protocols, u.protocol) })
	if f.Set() && first >= 0 {
		u := uses[first]
		d.Errorf(f.Key, "%s does nothing for listener %q, which is %s and sends here: %s", f.Key.Value, u.listener, u.protocol, why)
	}
}

// encryptedTwice refuses the TLS of a pool for the sake of the first of uses whose
// connections are TLS already.
func (d *decoder) encryptedTwice(f notation.Field, uses []use) {
	if i := slices.IndexFunc(uses, func(u use) bool { return u.passthrough }); i >= 0 {
		d.Errorf(f.Key, "tls would encrypt for a second time what listener %q sends here: it passes the TLS of its clients through", uses[i].listener)
	}
}
