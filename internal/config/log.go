package config

import (
	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/internal/config/traffic"
	"github.com/tandemlb/tandem/proxy"
)

// log returns what the key `log` says of the daemon, and of the traffic.
func (d *decoder) log(f notation.Field) (Log, proxy.Log) {
	o := d.Object(f, "level", "access", "request_id", "tenant")
	level := d.Choice(o["level"], "info", "debug", "info", "warn", "error")
	return Log{Level: level}, traffic.DecodeLog(d.Decoder, o)
}
