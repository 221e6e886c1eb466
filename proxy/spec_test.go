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
			Name:           "web",
			Bind:           []netip.AddrPort{netip.MustParseAddrPort("[::]:80")},
			Protocol:       HTTP,
			Pool:           "web",
			TrustForwarded: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("2001:db8::/32")},
			Limits: ListenerLimits{
				Connections: 1, ConnectionsPerClient: 2, LineBytes: 3, HeaderBytes: 4, Headers: 5,
				BodyBytes: 1 << 50, MinRate: 6,
			},
			Timeouts: ListenerTimeouts{Tunnel: 1, Header: 2, BodyIdle: 3, Idle: 4, WriteIdle: 5},
		}},
		Pools: []Pool{{
			Name:    "web",
			Servers: []Server{{Name: "a", Address: netip.MustParseAddrPort("192.0.2.1:80")}},
			Balance: RoundRobin,
			Check: Check{
				Kind: CheckHTTP, Method: "GET", Path: "/", Expect: StatusRange{200, 299},
				Every: time.Second, Timeout: time.Second, Rise: 1, Fall: 1,
			},
			Timeouts: PoolTimeouts{Connect: 1, Response: 2, BodyIdle: 3, Idle: 4},
			Limits:   PoolLimits{Idle: 1, Age: 2},
		}},
		Log: Log{Access: true, Sample: 0.1, RequestID: "x-request-id", Tenant: "x-tenant-id"},
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
