package l7

// phase is how far an exchange has come. An exchange walks the phases in order; an
// attempt that failed takes it back to pick.
type phase uint8

const (
	read    phase = iota // the request is being judged
	pick                 // a server is being chosen
	connect              // it is being connected to; nothing has been sent
	send                 // the request is being sent
	head                 // the request was sent; the response head is awaited
	stream               // the response head has gone to the client
)

// cause is why an exchange cannot go on.
type cause uint8

const (
	noCause      cause = iota
	serverBroke        // the connection to the server failed, or ended too early
	serverLate         // the server did not answer in time
	serverBad          // what the server sent is no response, or not to this request
	noServer           // none is left that may be tried
	clientGone         // the client left
	clientSlow         // the client did not send its request in time
	clientBad          // the client's body is malformed
	clientTooBig       // the client's body is larger than allowed
	shutDown           // the proxy ends
)

// failure is what is known when an exchange cannot go on.
type failure struct {
	phase phase // that failed
	cause cause

	reused     bool // the connection to the server had served another request
	untouched  bool // nothing of a response came on it
	unsent     bool // the kernel took nothing of the request
	whole      bool // the request can be sent again, body and all
	repeatable bool // to do it twice is to do it once (RFC 9110, section 9.2.2), or the client says so
	raced      bool // a reused connection has failed this exchange before
	exhausted  bool // no other server is left
}

// action is what follows a failure: the request is sent again, or the client is
// answered with status, or, without either, its connection is cut.
type action struct {
	again  bool
	same   bool // again, on a new connection to the same server
	status int
}

// decide is the only place that says what follows a failure.
//
// A request is sent again when no server has begun to act on it: when it was not
// sent, or when an idle connection turned out to have been closed by the server
// before the request came there (RFC 9112, section 9.3.1). In the second case the
// server may have read it all the same, so that it must be repeatable.
func decide(f failure) action {
	switch {
	case f.phase == stream, f.cause == clientGone, f.cause == shutDown:
		return action{}
	case f.cause == clientSlow:
		return action{status: statusRequestTimeout}
	case f.cause == clientTooBig:
		return action{status: statusContentTooLarge}
	case f.cause == clientBad, f.phase == read:
		return action{status: statusBadRequest}
	case f.cause == noServer && f.phase == pick:
		return action{status: statusServiceUnavailable}
	case f.phase == connect && !f.exhausted:
		return action{again: true}
	case keepAliveRace(f):
		return action{again: true, same: true}
	case f.cause == serverLate:
		return action{status: statusGatewayTimeout}
	default:
		return action{status: statusBadGateway}
	}
}

// keepAliveRace reports whether a server may have closed an idle connection while
// the request was on its way, and the request may be sent again on a new one.
func keepAliveRace(f failure) bool {
	return f.cause == serverBroke && f.reused && f.untouched && f.whole && !f.raced && (f.unsent || f.repeatable)
}
