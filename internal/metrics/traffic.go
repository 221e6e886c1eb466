package metrics

import (
	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/proxy/stats"
)

// shed is the reason of connections that are turned away for want of descriptors.
const shed = "shed"

func (m sink) listener(l admin.Listener) {
	m.put(listenerOpen, float64(l.Connections), l.Name)
	m.put(listenerAccepted, float64(l.Accepted), l.Name)
	m.put(listenerFailed, float64(l.Failed), l.Name)
	m.put(listenerRefused, float64(l.Shed), l.Name, shed)
	for reason, n := range l.Refused {
		m.put(listenerRefused, float64(n), l.Name, reason)
	}
	if t := l.TLS; t != nil {
		m.handshakes(l.Name, "1.2", t.TLS12)
		m.handshakes(l.Name, "1.3", t.TLS13)
	}
	switch l.Protocol {
	case "http":
		m.put(httpRequests, float64(l.Requests), l.Name)
	case "udp":
		m.put(datagrams, float64(l.In.Count), l.Name, "in")
		m.put(datagrams, float64(l.Out.Count), l.Name, "out")
		m.put(carriedBytes, float64(l.In.Bytes), l.Name, "", "in")
		m.put(carriedBytes, float64(l.Out.Bytes), l.Name, "", "out")
	}
}

func (m sink) handshakes(listener, version string, h admin.Handshakes) {
	m.put(tlsHandshakes, float64(h.Full), listener, version, "false")
	m.put(tlsHandshakes, float64(h.Resumed), listener, version, "true")
}

func (m sink) traffic(s *stats.Snapshot) {
	for i := range s.Pages {
		switch p := &s.Pages[i]; p.Protocol {
		case "http":
			m.http(p)
		case "tcp":
			m.tcp(p)
		}
	}
	for i := range s.Servers {
		one := &s.Servers[i]
		for class, n := range one.Classes {
			// Those of HTTP have some; nobody asks for the rest.
			if n > 0 {
				m.put(serverResponses, float64(n), one.Pool, one.Server, stats.ClassNames[class])
			}
		}
	}
}

func (m sink) http(p *stats.PageCounts) {
	if p.Pool == "" {
		m.put(httpInFlight, float64(p.Begun-min(p.Over, p.Begun)), p.Listener)
	}
	for class, n := range p.Classes {
		m.put(httpResponses, float64(n), p.Listener, p.Pool, stats.ClassNames[class])
	}
	for reason, n := range p.Ends {
		m.put(httpFailures, float64(n), p.Listener, p.Pool, reason)
	}
	m.distribution(httpDuration, p.Total, p.Listener, p.Pool)
	if p.Pool != "" {
		m.distribution(httpFirstByte, p.FirstByte, p.Listener, p.Pool)
		m.toPool(p)
	}
	m.bytes(p)
}

func (m sink) tcp(p *stats.PageCounts) {
	for end, n := range p.Ends {
		m.put(tcpEnded, float64(n), p.Listener, p.Pool, end)
	}
	if p.Pool != "" {
		m.distribution(tcpDuration, p.Total, p.Listener, p.Pool)
		m.toPool(p)
		m.bytes(p)
	}
}

func (m sink) toPool(p *stats.PageCounts) {
	m.distribution(connectDuration, p.Connect, p.Listener, p.Pool)
	m.distribution(queueDuration, p.Queue, p.Listener, p.Pool)
}

func (m sink) bytes(p *stats.PageCounts) {
	m.put(carriedBytes, float64(p.In), p.Listener, p.Pool, "in")
	m.put(carriedBytes, float64(p.Out), p.Listener, p.Pool, "out")
}
