package admin

import "github.com/prometheus/client_golang/prometheus"

var (
	descPoolActive    = desc("pool_active", "Requests (http) or connections in progress.", "pool")
	descWaiting       = desc("pool_waiting", "Those that wait for a server with a place left.", "pool")
	descQueued        = desc("pool_queued_total", "How many have waited.", "pool")
	descQueueRefused  = desc("pool_queue_refused_total", "How many found the queue full.", "pool")
	descQueueLeft     = desc("pool_queue_left_total", "How many gave up waiting.", "pool")
	descRetries       = desc("pool_retries_total", "Requests sent again, and connects made again.", "pool")
	descRetryRefused  = desc("pool_retries_refused_total", "Retries that the budget did not allow.", "pool")
	descRetryBudget   = desc("pool_retry_budget", "How many retries would be allowed now.", "pool")
	descPoolBreaker   = desc("pool_breaker", "State of the pool's breaker: 1 for the one it has.", "pool", "state")
	descPoolOpened    = desc("pool_breaker_opened_total", "How often the pool's breaker has opened.", "pool")
	descServerUp      = desc("server_up", "Whether the server is not known to be down.", "pool", "server")
	descServerState   = desc("server_state", "What the operator wants of the server: 1 for the state it has.", "pool", "server", "state")
	descServerWeight  = desc("server_weight", "Weight as of now, with the slow start.", "pool", "server")
	descServerActive  = desc("server_active", "Requests (http) or connections in progress.", "pool", "server")
	descServerServed  = desc("server_served_total", "Requests (http) or connections that ended.", "pool", "server")
	descServerFailed  = desc("server_failed_total", "Connects that failed, and responses that broke.", "pool", "server")
	descEjected       = desc("server_ejected", "Whether the server is set aside for how its traffic went.", "pool", "server")
	descEjections     = desc("server_ejections_total", "How often the server was set aside for that.", "pool", "server")
	descServerBreaker = desc("server_breaker", "State of the server's breaker: 1 for the one it has.", "pool", "server", "state")
	descServerOpened  = desc("server_breaker_opened_total", "How often the server's breaker has opened.", "pool", "server")
	descOverloaded    = desc("worker_overloaded", "Whether new work is turned away for want of memory or descriptors.")
	descOverloads     = desc("worker_overloads_total", "How often that has begun.")
)

// breakerStates and serverStates are the values of their labels.
var (
	breakerStates = []string{"closed", "half-open", "open"}
	serverStates  = []string{"ready", "drain", "maint"}
)

var poolDescs = []*prometheus.Desc{
	descPoolActive, descWaiting, descQueued, descQueueRefused, descQueueLeft, descRetries, descRetryRefused, descRetryBudget,
	descPoolBreaker, descPoolOpened, descServerUp, descServerState, descServerWeight, descServerActive, descServerServed, descServerFailed,
	descEjected, descEjections, descServerBreaker, descServerOpened, descOverloaded, descOverloads,
}

func (m sink) pool(p Pool) {
	m.gauge(descPoolActive, float64(p.Active), p.Name)
	m.gauge(descWaiting, float64(p.Waiting), p.Name)
	m.counter(descQueued, float64(p.Queued), p.Name)
	m.counter(descQueueRefused, float64(p.QueueRefused), p.Name)
	m.counter(descQueueLeft, float64(p.QueueLeft), p.Name)
	m.counter(descRetries, float64(p.Retries), p.Name)
	m.counter(descRetryRefused, float64(p.RetriesRefused), p.Name)
	m.gauge(descRetryBudget, p.RetryBudget, p.Name)
	if p.Breaker.State != "" {
		for _, state := range breakerStates {
			m.gauge(descPoolBreaker, truth(state == p.Breaker.State), p.Name, state)
		}
		m.counter(descPoolOpened, float64(p.Breaker.Opens), p.Name)
	}
	for _, s := range p.Servers {
		m.server(p.Name, s)
	}
}

func (m sink) server(pool string, s Server) {
	m.gauge(descServerUp, truth(s.Health != "down"), pool, s.Name)
	for _, state := range serverStates {
		m.gauge(descServerState, truth(state == s.Share.State), pool, s.Name, state)
	}
	m.gauge(descServerWeight, s.Share.Weight, pool, s.Name)
	m.gauge(descServerActive, float64(s.Active), pool, s.Name)
	m.counter(descServerServed, float64(s.Served), pool, s.Name)
	m.counter(descServerFailed, float64(s.Failed), pool, s.Name)
	m.gauge(descEjected, truth(!s.Ejected.Until.IsZero()), pool, s.Name)
	m.counter(descEjections, float64(s.Ejected.Count), pool, s.Name)
	if s.Breaker.State != "" {
		for _, state := range breakerStates {
			m.gauge(descServerBreaker, truth(state == s.Breaker.State), pool, s.Name, state)
		}
		m.counter(descServerOpened, float64(s.Breaker.Opens), pool, s.Name)
	}
}

func (m sink) overload(o Overload) {
	m.gauge(descOverloaded, truth(o.Reason != ""))
	m.counter(descOverloads, float64(o.Count))
}
