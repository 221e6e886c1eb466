package l4

import "github.com/tandemlb/tandem/proxy/clienthello"

// cause is why a connection does not get to a server. One of the constants, or what is
// wrong with a hello.
type cause string

const (
	none cause = ""

	// No server answers the client: it is there, and may be well.

	noServer     cause = "no_server"     // none is healthy, or none that was tried answers
	queueFull    cause = "queue_full"    // all are as busy as they may be, and so is the queue
	queueTimeout cause = "queue_timeout" // it has waited for too long
	breakerOpen  cause = "breaker_open"  // most connections to the servers fail, and so none is made
	noRoute      cause = "no_route"      // there is none for the name that is asked for

	// The client does not ask.

	clientGone cause = "client_gone"
	shutDown   cause = "shut_down"
	helloLate  cause = "hello_timeout" // it has not said what it wants
	helloCut   cause = "hello_cut"     // it has left in the middle of that
)

// badHello is the cause for what is no hello.
func badHello(r clienthello.Reason) cause { return "hello_" + cause(r) }

// failed reports whether it counts as a connection that no server answered.
func (c cause) failed() bool {
	switch c {
	case noServer, queueFull, queueTimeout, breakerOpen, noRoute:
		return true
	}
	return false
}

// reason returns what is counted among what was refused; empty: nothing is.
func (c cause) reason() string {
	switch c {
	case noServer, clientGone, shutDown:
		return ""
	}
	return string(c)
}
