package config

import "math"

// maxNodes is how many nodes this version can run.
const maxNodes = 2

// nodes returns the nodes of f.
func (d *decoder) nodes(f field) []Node {
	var nodes []Node
	for i, e := range d.named(f, "addresses") {
		if i == maxNodes {
			d.errorf(e.key, "%q is node number %d: this version supports %d", e.key.Value, i+1, maxNodes)
		}
		addr := d.addr(e, "an IP address")
		if addr.IsValid() {
			d.claim(e, addr.String(), "the address of a node")
		}
		nodes = append(nodes, Node{Name: e.key.Value, Address: addr})
	}
	return nodes
}

func (d *decoder) cluster(f field) Cluster {
	const port, pathMax = 7946, 4095
	o := d.object(f, "key_file", "port")
	return Cluster{
		KeyFile: d.path(o["key_file"], "", pathMax),
		Port:    uint16(d.integer(o["port"], port, math.MaxUint16-1)),
	}
}

func nodeNames(nodes []Node) []string {
	names := make([]string, 0, len(nodes))
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return names
}
