package proxy

// Traffic counts what a listener did since it was created.
type Traffic struct {
	Open     int64 // connections open now
	Accepted uint64
	Requests uint64 // HTTP only
	Failed   uint64 // connections or requests that no server answered
	Panics   uint64 // handlers that ended in a panic; each is a bug
}
