// Package outcome names how requests end.
package outcome

import (
	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/retry"
)

// Reason names what a cause in a phase means to who reads a log.
func Reason(c retry.Cause, p retry.Phase) accesslog.Reason {
	switch c {
	case retry.None:
		return accesslog.OK
	case retry.ServerBroke:
		if p <= retry.Connect {
			return accesslog.ServerConnect
		}
		return accesslog.ServerReset
	case retry.ServerLate:
		return accesslog.ServerTimeout
	case retry.ServerBad:
		return accesslog.ServerBadResponse
	case retry.ServerStatus:
		return accesslog.OK // it is passed on
	case retry.QueueFull:
		return accesslog.QueueFull
	case retry.QueueTimeout:
		return accesslog.QueueTimeout
	case retry.BreakerOpen:
		return accesslog.BreakerOpen
	case retry.RouteLate:
		return accesslog.RouteTimeout
	case retry.Drained:
		return accesslog.ServerDrained
	case retry.NoServer:
		return accesslog.NoServer
	case retry.ClientGone:
		return accesslog.ClientAbort
	case retry.ClientSlow:
		if p == retry.Stream {
			return accesslog.ClientSlowRead
		}
		return accesslog.ClientTimeoutBody
	case retry.ClientBad, retry.ClientTooBig:
		return accesslog.ClientError
	case retry.ShutDown:
		return accesslog.Shutdown
	}
	return accesslog.Internal
}
