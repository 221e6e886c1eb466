package config

import (
	"math"

	"github.com/tandemlb/tandem/internal/config/notation"
)

// maxNodes is how many nodes this version can run.
const maxNodes = 2

// nodes returns the nodes of f.
func (d *decoder) nodes(f notation.Field) []Node {
	var nodes []Node
	for i, e := range d.Named(f, "addresses") {
		if i == maxNodes {
			d.Errorf(e.Key, "%q is node number %d: this version supports %d", e.Key.Value, i+1, maxNodes)
		}
		addr := d.Addr(e, "an IP address")
		if addr.IsValid() {
			d.Claim(e, addr.String(), "the address of a node")
		}
		nodes = append(nodes, Node{Name: e.Key.Value, Address: addr})
	}
	return nodes
}

func (d *decoder) cluster(f notation.Field) Cluster {
	const port = 7946
	o := d.Object(f, "key_file", "port")
	return Cluster{
		KeyFile: d.Path(o["key_file"], "", pathMax),
		Port:    uint16(d.Integer(o["port"], port, math.MaxUint16-1)),
	}
}

func nodeNames(nodes []Node) []string {
	names := make([]string, 0, len(nodes))
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return names
}
