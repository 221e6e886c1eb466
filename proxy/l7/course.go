package l7

import (
	"strconv"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/balance"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/l7/rules"
	"github.com/tandemlb/tandem/proxy/retry"
	"github.com/tandemlb/tandem/proxy/route"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// course is where a request goes, and by when it must be back.
type course struct {
	route    *rules.Route     // nil until one matches
	to       *backend.Backend // nil until it is known
	deadline time.Time        // of the route; zero: none
	hash     uint64           // for the policies that hash
	sticky   *upstream.Server
	queued   time.Duration // waited for a server that had no place left
	told     bool          // the client has got something of a response, if only an interim one
}

// asked is a request as its route sees it.
type asked struct{ *http1.Request }

var _ route.Request = asked{}

// Method implements [route.Request].
func (a asked) Method() []byte { return a.MethodText() }

// Host implements [route.Request].
func (a asked) Host() []byte { return a.HostName() }

// Query implements [route.Request].
func (a asked) Query() []byte {
	q, _ := a.Request.Query()
	return q
}

// direct finds the route of a request. It reports false when that ends here, with the
// answer that it returns.
func (x *exchange) direct() (reply, bool) {
	q := asked{&x.req}
	x.route = x.conf.rules.Match(q, x.origin.Client())
	at := x.route
	if at == nil {
		return reply{status: statusNotFound, reason: accesslog.NoRoute}, false
	}
	if at.Limited() {
		if ok, after := at.Allow(x.loop.Now(), q, x.origin.Client(), x.key[:]); !ok {
			return reply{status: statusTooManyRequests, reason: accesslog.RateLimited, after: after}, false
		}
	}
	if at.Timeout > 0 {
		x.deadline = x.record.start.Add(at.Timeout)
		_ = x.client.SetDeadline(x.deadline) // open, or the next read tells
	}
	switch {
	case at.Redirect != nil:
		return x.redirect(q)
	case at.Respond != nil:
		r := at.Respond
		return reply{status: r.Status, text: r.Body, kind: r.ContentType, fixed: true, reason: accesslog.OK}, false
	}
	pool := x.conf.rules.Pool(at, x.random.Uint64())
	x.to = x.conf.backends[pool]
	x.record.books.Turn(pool)
	x.keep(q)
	return reply{}, true
}

// redirect answers with another place.
func (x *exchange) redirect(q asked) (reply, bool) {
	location, ok := route.AppendLocation(x.key[:0], x.route.Redirect, q)
	if !ok {
		return reply{status: statusBadRequest, text: "The request names no host", reason: accesslog.ClientError}, false
	}
	return reply{status: x.route.Redirect.Status, location: location, reason: accesslog.OK}, false
}

// keep finds out which server the request belongs to, if it belongs to one.
func (x *exchange) keep(q asked) {
	b := x.to
	if b.Sticky() != "" {
		if value, ok := route.Cookie(q, b.Sticky()); ok {
			x.sticky = b.Find(value)
		}
	}
	switch b.HashOn.Kind {
	case "":
		return
	case proxy.KeyClient:
	default:
		if key, ok := route.AppendKey(x.key[:0], b.HashOn, q, x.origin.Client()); ok {
			x.hash = balance.Hash(key)
			return
		}
		// All that lack the key would meet at one server.
	}
	x.hash = balance.HashClient(x.origin.Client())
}

// by returns when d from now is up, or the time of the route, if that is earlier. It is
// zero for never.
func (x *exchange) by(d time.Duration) time.Time {
	if d <= 0 {
		return x.deadline
	}
	t := x.loop.Now().Add(d)
	if !x.deadline.IsZero() && x.deadline.Before(t) {
		return x.deadline
	}
	return t
}

// late says who is to blame when a deadline has passed: whoever was waited for, unless
// the time of the route is up.
func (x *exchange) late(who retry.Cause) retry.Cause {
	if !x.deadline.IsZero() && !x.loop.Now().Before(x.deadline) {
		return retry.RouteLate
	}
	return who
}

// seconds returns d in seconds as Retry-After has it, rounded up: who comes back by the
// second must not come too early.
func seconds(dst []byte, d time.Duration) []byte {
	return strconv.AppendInt(dst, max(1, int64((d+time.Second-1)/time.Second)), 10)
}
