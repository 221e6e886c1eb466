package config

import (
	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
)

func (d *decoder) metrics(f notation.Field) Metrics {
	o := d.Object(f, "listen")
	var m Metrics
	switch {
	case o["listen"].Set():
		m.Listen, _ = d.Bind(o["listen"])
	case f.Set():
		d.Invalid(f, "listen is missing: ADDRESS:PORT, where Prometheus asks for the metrics")
	}
	return m
}

func (m Metrics) effective() *yaml.Node {
	n := notation.Block()
	notation.Put(n, "listen", notation.Text(notation.FormatBind(m.Listen)))
	return n
}
