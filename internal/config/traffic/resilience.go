package traffic

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/notation"
	"github.com/tandemlb/tandem/proxy"
)

// outlier returns when a server is set aside by how its traffic goes. It is off
// unless it is asked for: which answers are failures of the server, and which are
// what its clients deserve, the operator knows.
func (d *decoder) outlier(f notation.Field) proxy.Outlier {
	o, on := d.toggle(f, false, "consecutive", "eject", "max_ejected")
	if !on {
		return proxy.Outlier{}
	}
	return proxy.Outlier{
		Consecutive: d.Integer(o["consecutive"], 5, 1000),
		Eject:       d.Duration(o["eject"], 30*time.Second, time.Second, time.Hour),
		MaxEjected:  d.Share(o["max_ejected"], 0.5, notation.LeastShare),
	}
}

// breaker returns when nothing is sent for a while to a server, or to the pool.
func (d *decoder) breaker(f notation.Field) proxy.Breaker {
	o, on := d.toggle(f, false, "error_rate", "window", "minimum", "open")
	if !on {
		return proxy.Breaker{}
	}
	return proxy.Breaker{
		ErrorRate: d.Share(o["error_rate"], 0.5, notation.LeastShare),
		Window:    d.Duration(o["window"], 10*time.Second, time.Second, time.Hour),
		Minimum:   d.Integer(o["minimum"], 20, 1_000_000),
		Open:      d.Duration(o["open"], 5*time.Second, 100*time.Millisecond, time.Hour),
	}
}

// retryable are the failures that may be retried, in the order in which they can
// happen to a request.
var retryable = []string{
	string(proxy.RetryConnect), string(proxy.RetryReset), string(proxy.RetryEmpty), string(proxy.RetryTimeout),
	string(proxy.Retry425), string(proxy.Retry429), string(proxy.Retry502), string(proxy.Retry503), string(proxy.Retry504),
}

// retry returns how often a request is sent again.
func (d *decoder) retry(f notation.Field) proxy.Retry {
	o, on := d.toggle(f, true, "attempts", "on", "budget", "backoff")
	if !on {
		return proxy.Retry{}
	}
	if a := o["attempts"]; a.Set() && a.Value.Kind == yaml.ScalarNode && a.Value.Value == "0" {
		d.Invalid(a, "expected a number from 1 to 10, found \"0\": write retry: false for none")
		return proxy.Retry{}
	}
	return proxy.Retry{
		Attempts: d.Integer(o["attempts"], 1, 10),
		On:       d.retryOn(o["on"]),
		Budget:   d.Share(o["budget"], 0.2, 0),
		Backoff:  d.Duration(o["backoff"], 25*time.Millisecond, time.Millisecond, 10*time.Second),
	}
}

// retryOn returns the failures of f in the order of retryable: they are a set.
func (d *decoder) retryOn(f notation.Field) []proxy.RetryOn {
	if !f.Set() {
		return []proxy.RetryOn{proxy.RetryConnect, proxy.RetryReset}
	}
	listed := make(map[string]bool)
	for _, e := range d.List(f, "failure") {
		if on := d.Choice(e, "", retryable...); on != "" {
			d.once(listed, e, on)
		}
	}
	var all []proxy.RetryOn
	for _, on := range retryable {
		if listed[on] {
			all = append(all, proxy.RetryOn(on))
		}
	}
	return all
}

// once refuses what is listed twice.
func (d *decoder) once(listed map[string]bool, e notation.Field, value string) {
	if listed[value] {
		d.Invalid(e, "%s is listed twice", value)
	}
	listed[value] = true
}

// poolLimits returns what the servers of a pool are asked for at the same time.
func (d *decoder) poolLimits(f notation.Field, servers []proxy.Server) proxy.PoolLimits {
	mark := d.Count()
	o := d.Object(f, "connections", "queue", "queue_timeout", "idle", "age")
	l := proxy.PoolLimits{
		Connections: d.Number(o["connections"], 0, 0, maxConnections),
		Queue:       d.Number(o["queue"], 0, 0, 100_000),
		Idle:        d.Number(o["idle"], 1024, 0, 100_000),
		Age:         d.Duration(o["age"], 10*time.Minute, time.Second, 24*time.Hour),
	}
	patience := d.Duration(o["queue_timeout"], 2*time.Second, 10*time.Millisecond, 5*time.Minute)
	capped := l.Connections > 0 || slices.ContainsFunc(servers, func(s proxy.Server) bool { return s.MaxConnections > 0 })
	switch {
	case !d.OK(mark):
	case l.Queue > 0 && !capped:
		d.Errorf(o["queue"].Key, "nobody would ever wait: a queue needs connections beside it, or max_connections of a server")
	case l.Queue > 0:
		l.QueueTimeout = patience
	case o["queue_timeout"].Set():
		d.Errorf(o["queue_timeout"].Key, "nobody would ever wait: queue_timeout needs a queue beside it")
	}
	return l
}
