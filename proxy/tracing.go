package proxy

// Tracing says which requests are recorded for traces, and where the records go. Those
// that a client has chosen are recorded whatever Sample is.
type Tracing struct {
	OTLP   string  // base URL of an OTLP receiver, http or https; empty: nothing is recorded
	Sample float64 // share of the requests that begin a trace, in 0..1
}
