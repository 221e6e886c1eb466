package l7

// The statuses that the proxy itself has to do with (RFC 9110, section 15). Package
// http1 has the phrases of all.
const (
	statusContinue           = 100
	statusSwitchingProtocols = 101
	statusBadRequest         = 400
	statusNotFound           = 404
	statusMethodNotAllowed   = 405
	statusRequestTimeout     = 408
	statusContentTooLarge    = 413
	statusTooManyRequests    = 429
	statusClientGone         = 499 // for the log alone: the client left before it had an answer
	statusBadGateway         = 502
	statusServiceUnavailable = 503
	statusGatewayTimeout     = 504
	statusLoopDetected       = 508
)
