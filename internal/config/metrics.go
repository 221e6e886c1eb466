package config

import (
	"net/netip"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
)

func (d *decoder) metrics(f notation.Field) Metrics {
	o := d.Object(f, "listen")
	var m Metrics
	switch {
	case o["listen"].Set():
		m.Listen = d.listen(o["listen"])
	case f.Set():
		d.Invalid(f, "listen is missing: ADDRESS:PORT, where Prometheus asks for the metrics")
	}
	return m
}

// listen returns the address of f, on which the node alone listens.
func (d *decoder) listen(f notation.Field) netip.AddrPort {
	addr, ok := d.Bind(f)
	if ok {
		d.Occupy(f, addr, false)
	}
	return addr
}

func (m Metrics) effective() *yaml.Node {
	n := notation.Block()
	notation.Put(n, "listen", notation.Text(notation.FormatBind(m.Listen)))
	return n
}
