package proxy

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A Spec reaches the worker as JSON.
func TestSpecSurvivesJSON(t *testing.T) {
	want := Spec{
		Listeners: []Listener{{
			Name:     "web",
			Bind:     []netip.AddrPort{netip.MustParseAddrPort("[::]:80")},
			Protocol: HTTP,
			Routes: []Route{{
				Match: Match{
					Hosts: []string{"*.example.com"}, Paths: []PathMatch{{PathPrefix, "/api"}}, Methods: []string{"GET"},
					Headers: []ValueMatch{{"x-canary", "1", true}}, Cookies: []ValueMatch{{"beta", "yes", true}},
					Queries: []ValueMatch{{"v", "2", true}}, Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
				},
				Split:           []Share{{"web", 1}},
				Redirect:        &Redirect{To: "/", Status: 308},
				Respond:         &Respond{Status: 503, Body: "later", ContentType: "text/plain"},
				Rewrite:         Rewrite{Prefix: "/v2", Replace: true, Host: "api.internal"},
				RequestHeaders:  HeaderEdit{Set: []HeaderField{{"a", "b"}}, Add: []HeaderField{{"c", "d"}}, Remove: []string{"e"}},
				ResponseHeaders: HeaderEdit{Set: []HeaderField{{"a", "b"}}, Add: []HeaderField{{"c", "d"}}, Remove: []string{"e"}},
				Timeout:         1,
				RateLimit:       RateLimit{Requests: 1, Per: 2, Burst: 3, By: Key{KeyHeader, "x-tenant"}},
			}},
			Passthrough: true,
			TLS: &ListenerTLS{
				Certificates: []Certificate{{"a.pem", "a.key"}}, MinVersion: TLS13, ALPN: []string{"mqtt"},
				ClientAuth: ClientAuthRequire, ClientCA: "ca.pem", ClientCRL: "ca.crl",
			},
			ProxyProtocol:  []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")},
			TrustForwarded: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("2001:db8::/32")},
			Limits: ListenerLimits{
				Connections: 1, ConnectionsPerClient: 2, Handshakes: 7, LineBytes: 3, HeaderBytes: 4, Headers: 5,
				BodyBytes: 1 << 50, MinRate: 6,
			},
			Timeouts: ListenerTimeouts{TLSHandshake: 6, Tunnel: 1, Header: 2, BodyIdle: 3, Idle: 4, WriteIdle: 5},
		}},
		Pools: []Pool{{
			Name: "web",
			Servers: []Server{{
				Name: "a", Address: netip.MustParseAddrPort("192.0.2.1:80"), Host: "a.internal:80",
				Weight: 1, MaxConnections: 2, Backup: true, State: Drain,
			}},
			Discover: Discover{DNS: "web.internal:80"},
			TLS:      &PoolTLS{CA: "ca.pem", ServerName: "web.internal", Cert: "b.pem", Key: "b.key", MinVersion: TLS12, Insecure: true},
			Balance:  RoundRobin,
			Check: Check{
				Kind: CheckHTTP, Method: "GET", Path: "/", Expect: StatusRange{200, 299},
				Every: time.Second, Timeout: time.Second, Rise: 1, Fall: 1,
			},
			Timeouts: PoolTimeouts{Connect: 1, Response: 2, BodyIdle: 3, Idle: 4},
			Limits:   PoolLimits{Connections: 1, Queue: 2, QueueTimeout: 3, Idle: 4, Age: 5},
			HashOn:   Key{KeyQuery, "v"}, Sticky: Sticky{Cookie: "TANDEM"},
			Outlier:   Outlier{Consecutive: 1, Eject: 2, MaxEjected: 0.5},
			Breaker:   Breaker{ErrorRate: 0.5, Window: 1, Minimum: 2, Open: 3},
			Retry:     Retry{Attempts: 1, On: []RetryOn{RetryConnect}, Budget: 0.2, Backoff: 1},
			SlowStart: 1, Drain: 2, SendProxy: ProxyV2,
		}},
		Tracing: Tracing{OTLP: "http://127.0.0.1:4318", Sample: 0.5},
		Log:     Log{Access: true, Sample: 0.1, RequestID: "x-request-id", Tenant: "x-tenant-id"},
	}
	if unset := zeroField(reflect.ValueOf(want), "Spec"); unset != "" {
		t.Fatalf("the test does not set %s", unset)
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Spec
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}, netip.Prefix{})); diff != "" {
		t.Errorf("spec after JSON (-want +got):\n%s", diff)
	}
}

// zeroField returns the path of a field below v that has its zero value, or "".
func zeroField(v reflect.Value, path string) string {
	switch {
	case v.IsZero():
		return path
	case v.Kind() == reflect.Pointer:
		return zeroField(v.Elem(), path)
	case v.Kind() == reflect.Slice:
		return zeroField(v.Index(0), path)
	case v.Kind() != reflect.Struct || v.Type().PkgPath() == "net/netip":
		return ""
	}
	for i := range v.NumField() {
		if unset := zeroField(v.Field(i), path+"."+v.Type().Field(i).Name); unset != "" {
			return unset
		}
	}
	return ""
}
