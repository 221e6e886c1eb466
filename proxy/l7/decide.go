package l7

import "net/http"

// phase is how far an exchange has come. An exchange walks the phases in order; a
// failed connect takes it back to pick.
type phase int32

const (
	read    phase = iota // the request is being judged
	pick                 // a server is being chosen
	connect              // it is being connected to; nothing has been sent
	send                 // the request is being sent
	head                 // the request was sent; the response head is awaited
	stream               // the response head has gone to the client
)

// failure is what is known when an exchange cannot go on.
type failure struct {
	phase     phase // that failed
	gone      bool  // the client left
	malformed bool  // the client's body is malformed
	timeout   bool  // the server did not answer in time
	exhausted bool  // no other server is left
}

// action is what follows a failure: another server is tried, or the client is
// answered with status, or, without either, its connection is cut.
type action struct {
	again  bool
	status int
}

// decide is the only place that says what follows a failure. A request is tried
// again only when nothing of it was sent: what a server began to read, it may have
// acted upon (RFC 9110, section 9.2.2).
func decide(f failure) action {
	switch {
	case f.gone, f.phase == stream:
		return action{}
	case f.malformed, f.phase == read:
		return action{status: http.StatusBadRequest}
	case f.phase == pick:
		return action{status: http.StatusServiceUnavailable}
	case f.phase == connect && !f.exhausted:
		return action{again: true}
	case f.timeout:
		return action{status: http.StatusGatewayTimeout}
	default:
		return action{status: http.StatusBadGateway}
	}
}
