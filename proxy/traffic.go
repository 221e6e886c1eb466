package proxy

// Traffic counts what a listener did since it was created.
type Traffic struct {
	Open     int64 // connections open now
	Accepted uint64
	Requests uint64 // HTTP only
	Failed   uint64 // connections or requests that no server answered
	Panics   uint64 // handlers that ended in a panic; each is a bug
	Shed     uint64 // connections turned away because the host was out of descriptors
	// Refused counts, by reason, what clients and servers sent that was not carried,
	// and the connections beyond a limit.
	Refused map[string]uint64
	TLS     TLSTraffic
	In, Out Datagrams // UDP only: from and to clients
}

// TLSTraffic counts the handshakes with clients that were completed, by version. Those
// that failed are in Traffic.Refused.
type TLSTraffic struct{ TLS12, TLS13 Handshakes }

// Handshakes counts those that were done in full, and those that resumed a session.
type Handshakes struct{ Full, Resumed uint64 }

// Datagrams are datagrams, and what is in them.
type Datagrams struct{ Count, Bytes uint64 }
