// Package traffic is the part of a configuration file that says what a node serves:
// its keys `listeners` and `pools`, and what `log` says of requests. It turns them
// into a proxy.Spec, and such a spec back into them.
package traffic

import (
	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// decoder reads listeners and pools, and remembers what is judged once all of them
// are known.
type decoder struct {
	*notation.Decoder
	requestID string                     // the field with the identity of a request
	keys      map[string]notation.Fields // of each pool, by its name: what the file sets
	uses      map[string][]use           // of each pool: who sends to it
	hints     map[string]string          // of each unknown pool: which might be meant
}

// use is a listener as the pools that it sends to see it.
type use struct {
	listener    string
	protocol    proxy.Protocol
	passthrough bool // the connections are TLS already
}

// Decode returns the listeners and pools of the file, and l of its log: of the pools
// first those with an entry of their own, then those of the listeners that list servers.
func Decode(dec *notation.Decoder, pools, listeners notation.Field, l proxy.Log) proxy.Spec {
	d := &decoder{
		Decoder: dec, requestID: l.RequestID,
		keys: make(map[string]notation.Fields), uses: make(map[string][]use), hints: make(map[string]string),
	}
	spec := proxy.Spec{Pools: d.pools(pools), Log: l}
	named := poolNames(spec.Pools)
	for _, e := range d.Named(listeners, "listeners") {
		listener, own := d.listener(e, named)
		if own != nil {
			spec.Pools = append(spec.Pools, *own)
		}
		spec.Listeners = append(spec.Listeners, listener)
		for _, pool := range listener.Pools() {
			d.uses[pool] = append(d.uses[pool], use{listener.Name, listener.Protocol, listener.Passthrough})
		}
	}
	d.suitable(spec.Pools)
	return spec
}

// toggle returns the keys of f, which is a map of them, or true for the defaults of
// all, or false; and whether it is on.
func (d *decoder) toggle(f notation.Field, otherwise bool, keys ...string) (notation.Fields, bool) {
	switch {
	case !f.Set():
		return nil, otherwise
	case f.Value.Kind == yaml.ScalarNode && (f.Value.Value == "true" || f.Value.Value == "false"):
		return nil, f.Value.Value == "true"
	case f.Value.Kind != yaml.MappingNode:
		d.Expected(f, "true, false or "+notation.KeysOf(keys))
		return nil, otherwise
	}
	return d.Object(f, keys...), true
}
