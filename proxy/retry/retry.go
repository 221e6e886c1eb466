// Package retry decides what follows when an exchange with a server has failed: the
// request is sent again, or the client is told what happened.
//
// A request that is sent again may be acted on twice. So the rules ask how far it has
// come, what the client has said about it (RFC 9110, section 9.2), and what the pool's
// config allows; [Decide] has them all.
package retry

import (
	"strconv"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// Phase is how far an exchange has come. It walks the phases in order; an attempt that
// failed takes it back to Pick.
type Phase uint8

// The phases.
const (
	Read    Phase = iota // the request is being judged
	Pick                 // a server is being chosen, and waited for
	Connect              // it is being connected to; nothing has been sent
	Send                 // the request is being sent
	Head                 // the request was sent; the head of the response is awaited
	Stream               // the head of the response has gone to the client
)

// Cause is why an exchange cannot go on.
type Cause uint8

// The causes.
const (
	None         Cause = iota
	ServerBroke        // the connection to the server failed, or ended too early
	ServerLate         // the server did not answer in time
	ServerBad          // what the server sent is no response, or not to this request
	ServerStatus       // it answered with a status that may be retried
	NoServer           // none is left that may be tried
	QueueFull          // all are as busy as they may be, and so is the queue
	QueueTimeout       // none became free in time
	BreakerOpen        // the breaker of the pool is open
	RouteLate          // the time of the route is up
	ClientGone         // the client left
	ClientSlow         // the client did not send its request in time
	ClientBad          // the client's body is malformed
	ClientTooBig       // the client's body is larger than allowed
	Drained            // the time for connections to a server that is to go is up
	ShutDown           // the proxy ends
)

// Blames reports whether c is the doing of the server.
func (c Cause) Blames() bool { return c >= ServerBroke && c <= ServerStatus }

// Safety is what may happen when a request is acted on twice.
type Safety uint8

// The degrees of safety.
const (
	Unsafe     Safety = iota // nobody knows: POST, PATCH, and what we have not heard of
	Idempotent               // what happened once, PUT and DELETE
	Safe                     // nothing: GET, HEAD, OPTIONS, TRACE
)

// Failure is what is known when an exchange cannot go on.
type Failure struct {
	Phase  Phase // that failed
	Cause  Cause
	Status int // of ServerStatus

	// Of the connection.

	Reused    bool // it had served another request
	Untouched bool // nothing of a response has come on it
	Unsent    bool // the kernel has taken nothing of the request

	// Of the request.

	Method Safety
	Keyed  bool // it has an Idempotency-Key: the server tells a second one from the first
	Whole  bool // it can be sent again, body and all
	Told   bool // the client has got something of a response, if only an interim one

	// Of the attempts before.

	Left  int  // how many more may be made
	Raced bool // a reused connection has failed before
}

// Action is what follows a failure.
type Action struct {
	Again bool // the request is sent again
	Fresh bool // on a new connection, at once: no server has refused it
	// Status is what the client is answered if the request is not sent again. 0: what
	// the server answered is passed on, with ServerStatus; else the connection is cut.
	Status int
}

// Statuses of RFC 9110, section 15.5 and 15.6.
const (
	badRequest         = 400
	requestTimeout     = 408
	contentTooLarge    = 413
	tooEarly           = 425
	badGateway         = 502
	serviceUnavailable = 503
	gatewayTimeout     = 504
)

// Decide is the only place that says what follows a failure, where on says which
// failures the pool retries. budget is asked when nothing else is against it, and only
// then: it counts the retry.
//
//	failed                                          safe   idempotent  other  Idempotency-Key  on
//	no connection, or nothing was sent on a new one  yes    yes         yes    yes              connect
//	nothing was sent on a reused one                 yes    yes         yes    yes              reset
//	a reused connection ended without an answer      once   once        no     once             reset
//	a new connection ended without an answer         yes    yes         no     yes              empty
//	no answer in time                                yes    yes         no     yes              timeout
//	status 429, 502, 503, 504                        yes    yes         no     yes              that status
//	status 425                                       yes    yes         yes    yes              425
//	something has gone to the client                 no     no          no     no
//	the body is gone                                 no     no          no     no
//	our own 503                                      no     no          no     no
//
// A server that sends what is no answer has acted, so that nothing is sent again. In
// the second and third case the server has, most likely, closed an idle connection
// while the request was on its way (RFC 9112, section 9.3.1): that says nothing about
// its health, so that the same server may be asked again.
func Decide(f Failure, on On, budget func() bool) Action {
	which, may := f.repeatable()
	if may && f.Left > 0 && on.has(which) && budget() {
		return Action{Again: true, Fresh: which == reset}
	}
	return Action{Status: f.status()}
}

// repeatable reports whether the request may be sent again, if the pool retries such a
// failure.
func (f *Failure) repeatable() (which kind, may bool) {
	if f.Told || !f.Whole || f.Phase == Stream {
		return 0, false
	}
	twice := f.Method != Unsafe || f.Keyed // it may be acted on twice
	switch f.Cause {
	case ServerBroke:
		switch {
		case f.Phase == Connect, f.Phase > Connect && f.Unsent && !f.Reused:
			return connect, true
		case f.Phase < Connect || !f.Untouched:
			return 0, false
		case f.Race():
			return reset, true
		}
		return empty, twice && !f.Reused
	case ServerLate:
		switch {
		case f.Phase == Connect:
			return connect, true
		case f.Phase < Connect || !f.Untouched:
			return 0, false
		}
		return late, twice
	case ServerStatus:
		return kindOf(f.Status), twice || f.Status == tooEarly
	}
	return 0, false
}

// Race reports whether the server may have closed an idle connection while the request
// was on its way, and the request may be sent again on a new one.
func (f *Failure) Race() bool {
	return f.Cause == ServerBroke && f.Phase > Connect && f.Reused && f.Untouched && f.Whole && !f.Told &&
		(f.Unsent || !f.Raced && (f.Method != Unsafe || f.Keyed))
}

// status returns what the client is answered.
func (f *Failure) status() int {
	if f.Phase == Stream {
		return 0
	}
	switch f.Cause {
	case ServerBroke, ServerBad:
		return badGateway
	case ServerLate, RouteLate:
		return gatewayTimeout
	case NoServer, QueueFull, QueueTimeout, BreakerOpen, Drained:
		return serviceUnavailable
	case ClientSlow:
		return requestTimeout
	case ClientTooBig:
		return contentTooLarge
	case ClientBad:
		return badRequest
	}
	return 0 // there is an answer, or nobody to hear one
}

// kind is one of the failures that a pool may retry.
type kind uint8

const (
	connect kind = iota
	reset
	empty
	late
	status425
	status429
	status502
	status503
	status504
	kinds
)

func kindOf(status int) kind {
	switch status {
	case 425:
		return status425
	case 429:
		return status429
	case 502:
		return status502
	case 503:
		return status503
	case 504:
		return status504
	}
	return kinds
}

// On is a set of failures that a pool retries.
type On uint16

// Compile makes a set of what a config lists. A name that is unknown stands for
// nothing: the config has been checked.
func Compile(list []proxy.RetryOn) (on On) {
	for _, name := range list {
		k := kinds
		switch name {
		case proxy.RetryConnect:
			k = connect
		case proxy.RetryReset:
			k = reset
		case proxy.RetryEmpty:
			k = empty
		case proxy.RetryTimeout:
			k = late
		default:
			if code, err := strconv.Atoi(string(name)); err == nil {
				k = kindOf(code)
			}
		}
		if k < kinds {
			on |= 1 << k
		}
	}
	return on
}

// has reports whether k is in the set.
func (o On) has(k kind) bool { return o&(1<<k) != 0 }

// Status reports whether a response with that status is a failure that may be retried.
func (o On) Status(code int) bool {
	k := kindOf(code)
	return k < kinds && o.has(k)
}

// longest bounds a wait, however often a request is sent again.
const longest = 10 * time.Second

// Backoff returns how long to wait before the n-th retry, counted from 1: somewhere
// between nothing and first, doubled with each one before. All of it is left to random
// (full jitter): what has failed together does not come back together.
func Backoff(first time.Duration, n int, random uint64) time.Duration {
	most := min(first, longest)
	for i := 1; i < n && most < longest; i++ {
		most = min(2*most, longest)
	}
	if most <= 0 {
		return 0
	}
	return time.Duration(random % (uint64(most) + 1))
}
