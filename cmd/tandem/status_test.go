package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

func TestStatusForPeople(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	s := &admin.Status{
		Node: "lb2", Version: "1.0.0", Started: ago(50 * time.Hour), Unfit: "the proxy does not serve",
		Config: admin.Config{Path: "/etc/tandem/tandem.yaml", Hash: "0123456789ab", Loaded: ago(90 * time.Second),
			Refused: "tandem.yaml:1:1: unknown key\n  1 | x"},
		Agent:  &admin.Process{PID: 11, Realtime: "yes", MemoryLocked: "operation not permitted"},
		Worker: admin.Process{Restarts: 2, Error: "signal: killed"},
		VIPs: []admin.VIP{
			{Name: "main", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")}, Interface: "eth0", RouterID: 100,
				Role: vrrp.Backup, Since: ago(1500 * time.Millisecond), Reason: "started", Priority: 150,
				Active: netip.MustParseAddr("192.0.2.11"), ActivePrio: 200,
				Counters: vrrp.Counters{AddressMismatch: 4, Dropped: map[vrrp.Drop]uint64{vrrp.DropVersion: 12, vrrp.DropTTL: 1}}},
			{Name: "other", Role: vrrp.Active, Since: ago(time.Millisecond), Reason: "started", Error: "no VRRP socket"},
		},
		Peers: []admin.Peer{
			{Name: "lb1", Address: netip.MustParseAddr("192.0.2.11"), Alive: true, Since: ago(time.Minute), Fit: true,
				Roles: map[string]vrrp.Role{"main": vrrp.Active}, Hash: "ba9876543210", Drift: true},
			{Name: "lb3", Address: netip.MustParseAddr("192.0.2.13")},
			{Name: "lb4", Address: netip.MustParseAddr("192.0.2.14"), Error: "connection refused"},
			{Name: "lb5", Address: netip.MustParseAddr("192.0.2.15"), Since: ago(time.Second), Fit: true, Hash: "0123456789ab", Error: "another key"},
		},
		Listeners: []admin.Listener{{Name: "web", Protocol: "http", Bind: []string{":80"}, Pool: "web", Connections: 1, Accepted: 5, Requests: 9,
			Refused: map[string]uint64{"host_missing": 3, "connections": 2}, Shed: 4}, {Name: "old", Protocol: "http", Bind: []string{":81"}}},
		LogDropped: 17, Panics: 1,
		Traces: admin.Traces{Receiver: "http://127.0.0.1:4318", Sent: 12, Dropped: 3, Error: "connection refused"},
		Pools: []admin.Pool{{Name: "web", Servers: []admin.Server{
			{Name: "a", Health: "up", Since: ago(time.Hour), Served: 9},
			{Name: "b", Health: "down", Since: ago(time.Second), Failed: 3, Reason: "connection refused"},
		}}},
	}
	want := strings.TrimLeft(`
node    lb2, NOT FIT (the proxy does not serve), up 50h0m, version 1.0.0
config  /etc/tandem/tandem.yaml, hash 0123456789ab, loaded 1m30s ago
        THE NEWEST CONFIG WAS REFUSED, the old one runs:
        tandem.yaml:1:1: unknown key
          1 | x
agent   pid 11, real time: yes, memory locked: operation not permitted
worker  NOT RUNNING, restarted 2 times: signal: killed
        ALARM: 1 connections ended in a panic, each is a bug: see the log

vip  main   BACKUP for 1.5s: started
            192.0.2.100/24 on eth0, router 100, priority 150
            192.0.2.11 is active, with priority 200
            odd VRRP packets: ttl 1, version 12, accepted with other addresses 4
vip  other  ACTIVE for 1ms: started
             on , router 0, priority 0
            ERROR: no VRRP socket

peer  lb1  alive for 1m0s, 192.0.2.11, fit, main: active
           CONFIG DRIFT: it runs ba9876543210, this node 0123456789ab
peer  lb3  192.0.2.13, not heard yet
peer  lb4  192.0.2.14, not heard yet: connection refused
peer  lb5  SILENT for 1s, 192.0.2.15, fit
           another key

listener  web  http :80  to pool web  1 open, 5 accepted, 9 requests, 0 failed
               refused: connections 2, host_missing 3, for want of descriptors 4
listener  old  http :81  answers itself  0 open, 0 accepted, 0 requests, 0 failed
               17 lines of the access log dropped: it is not read fast enough

traces  to http://127.0.0.1:4318  12 spans sent, 3 dropped
        ERROR: connection refused

server  web/a  UP for 1h0m  0 active, 9 served, 0 failed
server  web/b  DOWN for 1s  0 active, 0 served, 3 failed  connection refused
`, "\n")
	var got strings.Builder
	if err := printStatus(&got, s, now); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestAge(t *testing.T) {
	now := time.Unix(1e9, 0)
	for d, want := range map[time.Duration]string{
		0:                        "0s",
		1234 * time.Microsecond:  "1ms",
		12345 * time.Millisecond: "12.3s",
		61 * time.Second:         "1m1s",
		25 * time.Hour:           "25h0m",
	} {
		if got := age(now, now.Add(-d)); got != want {
			t.Errorf("age of %v: %q, want %q", d, got, want)
		}
	}
	if got := age(now, time.Time{}); got != "-" {
		t.Errorf("age of nothing: %q", got)
	}
}
