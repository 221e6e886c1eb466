package metrics

import "github.com/tandemlb/tandem/internal/admin"

// breakerStates and serverStates are the values of their labels.
var (
	breakerStates = []string{"closed", "half-open", "open"}
	serverStates  = []string{"ready", "drain", "maint"}
)

func (m sink) pool(p admin.Pool) {
	m.put(poolActive, float64(p.Active), p.Name)
	m.put(poolLimit, float64(p.Most), p.Name)
	m.put(poolWaiting, float64(p.Waiting), p.Name)
	m.put(poolQueueLimit, float64(p.QueueLength), p.Name)
	m.put(poolQueued, float64(p.Queued), p.Name)
	m.put(poolQueueRefused, float64(p.QueueRefused), p.Name)
	m.put(poolQueueLeft, float64(p.QueueLeft), p.Name)
	m.put(poolRetries, float64(p.Retries), p.Name)
	m.put(poolRetriesRefused, float64(p.RetriesRefused), p.Name)
	m.put(poolRetryBudget, p.RetryBudget, p.Name)
	if p.Breaker.State != "" {
		m.states(poolBreaker, breakerStates, p.Breaker.State, p.Name)
		m.put(poolOpened, float64(p.Breaker.Opens), p.Name)
	}
	for _, s := range p.Servers {
		m.server(p.Name, s)
	}
}

func (m sink) server(pool string, s admin.Server) {
	m.put(serverUp, truth(s.Health != "down"), pool, s.Name)
	m.states(serverState, serverStates, s.Share.State, pool, s.Name)
	m.put(serverWeight, s.Share.Weight, pool, s.Name)
	m.put(serverActive, float64(s.Active), pool, s.Name)
	m.put(serverServed, float64(s.Served), pool, s.Name)
	m.put(serverFailed, float64(s.Failed), pool, s.Name)
	m.put(serverEjected, truth(!s.Ejected.Until.IsZero()), pool, s.Name)
	m.put(serverEjections, float64(s.Ejected.Count), pool, s.Name)
	if s.Breaker.State != "" {
		m.states(serverBreaker, breakerStates, s.Breaker.State, pool, s.Name)
		m.put(serverOpened, float64(s.Breaker.Opens), pool, s.Name)
	}
}
