// Package metrics says what a node counts in the formats of Prometheus: of all three of
// its processes at once.
package metrics

import "github.com/prometheus/client_golang/prometheus"

// family is a metric with all its labels. Every value of a label is one of a fixed set,
// or a name of the config.
type family struct {
	name   string // without prefix
	kind   kind
	help   string
	labels []string
}

type kind uint8

const (
	gauge kind = iota + 1
	counter
	histogram
)

// prefix is that of all names.
const prefix = "tandem_"

// id is the index of a family.
type id int

const (
	buildInfo id = iota
	configInfo
	configLoaded
	configRefused
	nodeStarted
	nodeFit
	nodeDemoted
	scrapeOK

	processRestarts
	processCPU
	processMemory
	processDescriptors
	processDescriptorLimit
	processGoroutines

	heartbeatLateness
	heartbeatDelay
	heartbeatStalls
	agentRealtime
	agentLocked
	agentDropped

	vipRole
	vipHeld
	vipPriority
	vipBase
	vipActivations
	vipLosses
	vipFlapping
	vipSent
	vipReceived
	vipDropped
	vipMismatches
	vipEpoch
	vipAnnouncements
	vipRenewals
	vipErrors
	vipConflicts
	vipRemovals
	vipLost

	peerAlive
	peerFit
	peerVerdict
	peerDrift

	listenerOpen
	listenerAccepted
	listenerFailed
	listenerRefused
	carriedBytes
	datagrams

	httpRequests
	httpInFlight
	httpResponses
	httpFailures
	httpDuration
	httpFirstByte
	tcpEnded
	tcpDuration
	connectDuration
	queueDuration

	poolActive
	poolLimit
	poolWaiting
	poolQueueLimit
	poolQueued
	poolQueueRefused
	poolQueueLeft
	poolRetries
	poolRetriesRefused
	poolRetryBudget
	poolBreaker
	poolOpened

	serverUp
	serverState
	serverWeight
	serverActive
	serverServed
	serverFailed
	serverResponses
	serverEjected
	serverEjections
	serverBreaker
	serverOpened

	workerOverloaded
	workerOverloads
	workerPanics
	logDropped
	traceSpans

	tlsHandshakes
	ticketsShared
	ticketKeyBorn
	certificateEnd
	crlNext
	certificateReloads
	certificateErrors
	certificateRefused

	adminRefused
	adminWatchers
	count
)

// families are all of them.
var families = [count]family{
	buildInfo:     {"build_info", gauge, "The version of the program that runs: always 1.", []string{"version"}},
	configInfo:    {"config_info", gauge, "The hash of the config in force, to compare the nodes by: always 1.", []string{"hash"}},
	configLoaded:  {"config_loaded_timestamp_seconds", gauge, "When the config in force was loaded, in seconds since 1970.", nil},
	configRefused: {"config_refused", gauge, "Whether the newest reload was refused (1): the config before it is in force.", nil},
	nodeStarted:   {"node_start_time_seconds", gauge, "When the node started, in seconds since 1970.", nil},
	nodeFit:       {"node_fit", gauge, "Whether the node serves and may lead (1) or not (0).", nil},
	nodeDemoted:   {"node_demoted", gauge, "Whether the node stands back because it reaches none of its servers.", nil},
	scrapeOK:      {"worker_scrape_ok", gauge, "Whether the worker has said what it counts for this scrape (1). With 0 its values are older, or missing.", nil},

	processRestarts:        {"process_restarts_total", counter, "How often a child of the node had to be started again.", []string{"process"}},
	processCPU:             {"process_cpu_seconds_total", counter, "CPU time that the process has used.", []string{"process"}},
	processMemory:          {"process_resident_memory_bytes", gauge, "Memory of the process that is resident.", []string{"process"}},
	processDescriptors:     {"process_open_fds", gauge, "Descriptors that the process has open.", []string{"process"}},
	processDescriptorLimit: {"process_max_fds", gauge, "Descriptors that the process may have open.", []string{"process"}},
	processGoroutines:      {"process_goroutines", gauge, "Goroutines of the process.", []string{"process"}},

	heartbeatLateness: {"heartbeat_lateness_seconds", gauge, "Greatest lateness of the heartbeat in its newest report, which is of one second.", nil},
	heartbeatDelay:    {"heartbeat_delay_seconds", histogram, "By how much each turn of the heartbeat was late.", nil},
	heartbeatStalls:   {"heartbeat_stalls_total", counter, "Stalls after which the node assumed that its peer had taken over.", nil},
	agentRealtime:     {"agent_realtime", gauge, "Whether the heartbeat runs under a real-time scheduler.", nil},
	agentLocked:       {"agent_memory_locked", gauge, "Whether the memory of the heartbeat's process is locked.", nil},
	agentDropped:      {"vrrp_packets_dropped_total", counter, "Packets of VRRP that are for no VIP of this node, by why.", []string{"reason"}},

	vipRole:          {"vip_role", gauge, "Role of the virtual router: 1 for the one it has.", []string{"vip", "role"}},
	vipHeld:          {"vip_held", gauge, "Whether the kernel of this node has the addresses.", []string{"vip"}},
	vipPriority:      {"vip_priority", gauge, "Effective priority.", []string{"vip"}},
	vipBase:          {"vip_base_priority", gauge, "Configured priority.", []string{"vip"}},
	vipActivations:   {"vip_activations_total", counter, "Changes to Active, by why.", []string{"vip", "reason"}},
	vipLosses:        {"vip_losses_total", counter, "Changes from Active to another role.", []string{"vip"}},
	vipFlapping:      {"vip_flapping", gauge, "Changes to and from Active of late, when they are too many; else 0.", []string{"vip"}},
	vipSent:          {"vip_advertisements_sent_total", counter, "Advertisements sent.", []string{"vip"}},
	vipReceived:      {"vip_advertisements_received_total", counter, "Advertisements accepted.", []string{"vip"}},
	vipDropped:       {"vip_advertisements_dropped_total", counter, "Packets refused, by why.", []string{"vip", "reason"}},
	vipMismatches:    {"vip_address_mismatches_total", counter, "Advertisements accepted although they list other addresses.", []string{"vip"}},
	vipEpoch:         {"vip_announcement_epoch", gauge, "Epoch of this node's newest announcement of the addresses.", []string{"vip"}},
	vipAnnouncements: {"vip_announcements_total", counter, "Announcements of single addresses: gratuitous ARP, and unsolicited advertisements of a neighbour.", []string{"vip"}},
	vipRenewals:      {"vip_lease_renewals_total", counter, "Times that the addresses got a new lease in the kernel.", []string{"vip"}},
	vipErrors:        {"vip_lease_errors_total", counter, "Times that the addresses could not be set, renewed or announced.", []string{"vip"}},
	vipConflicts:     {"vip_conflicts_total", counter, "Claims of other hosts to an address that this node held.", []string{"vip"}},
	vipRemovals:      {"vip_removals_total", counter, "Times that someone else removed an address.", []string{"vip"}},
	vipLost:          {"vip_tracked_lost", gauge, "Things that the VIP tracks and that are missed.", []string{"vip"}},

	peerAlive:   {"peer_alive", gauge, "Whether the peer is alive by gossip.", []string{"peer"}},
	peerFit:     {"peer_fit", gauge, "Whether the peer says that it serves and may lead.", []string{"peer"}},
	peerVerdict: {"peer_verdict", gauge, "What this node makes of the peer: 1 for what holds.", []string{"peer", "verdict"}},
	peerDrift:   {"peer_config_drift", gauge, "Whether the peer runs another config.", []string{"peer"}},

	listenerOpen:     {"listener_connections", gauge, "Connections, or sessions of udp, that are open.", []string{"listener"}},
	listenerAccepted: {"listener_accepted_total", counter, "Connections accepted, or sessions begun.", []string{"listener"}},
	listenerFailed:   {"listener_failed_total", counter, "Connections (tcp, udp) or requests (http) that no server answered.", []string{"listener"}},
	listenerRefused:  {"listener_refused_total", counter, "Connections, messages and datagrams refused, by why.", []string{"listener", "reason"}},
	carriedBytes:     {"carried_bytes_total", counter, "Bytes from (in) and to (out) clients: the bodies of http, all of tcp and of what http has changed to, the payload of udp.", []string{"listener", "pool", "direction"}},
	datagrams:        {"udp_datagrams_total", counter, "Datagrams from (in) and to (out) clients.", []string{"listener", "direction"}},

	httpRequests:    {"http_requests_total", counter, "Requests of HTTP whose head was whole.", []string{"listener"}},
	httpInFlight:    {"http_requests_in_flight", gauge, "Requests of HTTP that have begun and are not over.", []string{"listener"}},
	httpResponses:   {"http_responses_total", counter, "Requests of HTTP that are over, by the class of the status that clients got. 499: the client left before. other: nobody got one.", []string{"listener", "pool", "class"}},
	httpFailures:    {"http_failures_total", counter, "Requests of HTTP that ended in another way than with a whole response of a server, by why, as in the access log.", []string{"listener", "pool", "reason"}},
	httpDuration:    {"http_request_duration_seconds", histogram, "From the first byte of a request to the end of its response.", []string{"listener", "pool"}},
	httpFirstByte:   {"http_first_byte_seconds", histogram, "From the first byte of a request to the head of the server's response.", []string{"listener", "pool"}},
	tcpEnded:        {"tcp_connections_ended_total", counter, "Connections of tcp that are over, by how they ended.", []string{"listener", "pool", "end"}},
	tcpDuration:     {"tcp_connection_duration_seconds", histogram, "How long connections of tcp have lasted.", []string{"listener", "pool"}},
	connectDuration: {"connect_duration_seconds", histogram, "How long it took to connect to a server, with the handshake of TLS, when that succeeded.", []string{"listener", "pool"}},
	queueDuration:   {"queue_duration_seconds", histogram, "How long requests and connections have waited for a server with a place left, when they had to.", []string{"listener", "pool"}},

	poolActive:         {"pool_active", gauge, "Requests (http) or connections in progress.", []string{"pool"}},
	poolLimit:          {"pool_active_limit", gauge, "How many may be in progress; 0: any number.", []string{"pool"}},
	poolWaiting:        {"pool_waiting", gauge, "Those that wait for a server with a place left.", []string{"pool"}},
	poolQueueLimit:     {"pool_waiting_limit", gauge, "How many may wait; 0: there is no queue.", []string{"pool"}},
	poolQueued:         {"pool_queued_total", counter, "How many have waited.", []string{"pool"}},
	poolQueueRefused:   {"pool_queue_refused_total", counter, "How many found the queue full.", []string{"pool"}},
	poolQueueLeft:      {"pool_queue_left_total", counter, "How many gave up waiting.", []string{"pool"}},
	poolRetries:        {"pool_retries_total", counter, "Requests sent again, and connects made again.", []string{"pool"}},
	poolRetriesRefused: {"pool_retries_refused_total", counter, "Retries that the budget did not allow.", []string{"pool"}},
	poolRetryBudget:    {"pool_retry_budget", gauge, "How many retries would be allowed now.", []string{"pool"}},
	poolBreaker:        {"pool_breaker", gauge, "State of the pool's breaker: 1 for the one it has.", []string{"pool", "state"}},
	poolOpened:         {"pool_breaker_opened_total", counter, "How often the pool's breaker has opened.", []string{"pool"}},

	serverUp:        {"server_up", gauge, "Whether the server is not known to be down.", []string{"pool", "server"}},
	serverState:     {"server_state", gauge, "What the operator wants of the server: 1 for the state it has.", []string{"pool", "server", "state"}},
	serverWeight:    {"server_weight", gauge, "Weight as of now, with the slow start.", []string{"pool", "server"}},
	serverActive:    {"server_active", gauge, "Requests (http) or connections in progress.", []string{"pool", "server"}},
	serverServed:    {"server_served_total", counter, "Requests (http) or connections that ended.", []string{"pool", "server"}},
	serverFailed:    {"server_failed_total", counter, "Connects that failed, and responses that broke.", []string{"pool", "server"}},
	serverResponses: {"server_responses_total", counter, "Responses of HTTP that the server gave, by the class of their status; those too that were followed by a retry.", []string{"pool", "server", "class"}},
	serverEjected:   {"server_ejected", gauge, "Whether the server is set aside for how its traffic went.", []string{"pool", "server"}},
	serverEjections: {"server_ejections_total", counter, "How often the server was set aside for that.", []string{"pool", "server"}},
	serverBreaker:   {"server_breaker", gauge, "State of the server's breaker: 1 for the one it has.", []string{"pool", "server", "state"}},
	serverOpened:    {"server_breaker_opened_total", counter, "How often the server's breaker has opened.", []string{"pool", "server"}},

	workerOverloaded: {"worker_overloaded", gauge, "Whether new work is turned away for want of memory or descriptors.", nil},
	workerOverloads:  {"worker_overloads_total", counter, "How often that has begun.", nil},
	workerPanics:     {"worker_panics_total", counter, "Connections that ended in a panic; each is a bug.", nil},
	logDropped:       {"access_log_dropped_total", counter, "Lines of the access log that were lost, because it was not read fast enough.", nil},
	traceSpans:       {"trace_spans_total", counter, "Spans of traces, by whether they were sent; those that could not be, or not soon enough, were dropped.", []string{"outcome"}},

	tlsHandshakes:      {"tls_handshakes_total", counter, "Handshakes with clients that were completed. Those that failed are among tandem_listener_refused_total, their reasons begin with tls_.", []string{"listener", "version", "resumed"}},
	ticketsShared:      {"tls_tickets_shared", gauge, "Whether the keys of session tickets are shared with the other node (1): sessions live on across a takeover.", nil},
	ticketKeyBorn:      {"tls_ticket_key_born_timestamp_seconds", gauge, "When the newest key of session tickets was made, in seconds since 1970.", nil},
	certificateEnd:     {"certificate_not_after_seconds", gauge, "When the certificate ends, in seconds since 1970. listener is whose clients it is shown to, pool to whose servers; path is its file.", []string{"listener", "pool", "path"}},
	crlNext:            {"crl_next_update_seconds", gauge, "When the list of revoked certificates is due to be replaced, in seconds since 1970; not there for one that does not say. path is its file, listener whose clients it judges.", []string{"listener", "path", "issuer"}},
	certificateReloads: {"certificate_reloads_total", counter, "Changed files of TLS that were taken up.", nil},
	certificateErrors:  {"certificate_errors_total", counter, "Changed files of TLS that were refused.", nil},
	certificateRefused: {"certificate_files_refused", gauge, "Files of TLS that have changed and are not in use, since they are bad: those before them are.", nil},

	adminRefused:  {"admin_refused_total", counter, "Requests and connections to the status page that were refused, by why.", []string{"reason"}},
	adminWatchers: {"admin_watchers", gauge, "Who follows the status page.", nil},
}

// descs are the families as the client library has them.
var descs = describe()

func describe() (d [count]*prometheus.Desc) {
	for i, f := range families {
		d[i] = prometheus.NewDesc(prefix+f.name, f.help, f.labels, nil)
	}
	return d
}
