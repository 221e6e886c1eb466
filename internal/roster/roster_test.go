package roster

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

var addresses = cmpopts.EquateComparable(netip.AddrPort{})

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func plain(address string) proxy.Server {
	return proxy.Server{Name: address, Address: at(address), Weight: 1}
}

func named(host string) proxy.Server { return proxy.Server{Name: host, Host: host, Weight: 1} }

func specOf(pools ...proxy.Pool) proxy.Spec { return proxy.Spec{Pools: pools} }

func answer(targets ...string) Answer {
	a := Answer{At: time.Unix(1, 0)}
	for _, t := range targets {
		a.Targets = append(a.Targets, Target{Address: at(t)})
	}
	return a
}

// show writes the servers of a pool one to a line.
func show(p proxy.Pool) string {
	var b strings.Builder
	for _, s := range p.Servers {
		fmt.Fprintf(&b, "%s %s w%d", s.Name, s.Address, s.Weight)
		if s.Backup {
			b.WriteString(" backup")
		}
		if s.State != proxy.Ready {
			b.WriteString(" " + string(s.State))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestServersComeFromConfigAnswersAndOverlay(t *testing.T) {
	drain, weight := proxy.Drain, 7
	for name, tc := range map[string]struct {
		pool    proxy.Pool
		answers map[string]Answer
		overlay Overlay
		want    string
		notes   string
	}{
		"addresses stay as they are": {
			pool: proxy.Pool{Servers: []proxy.Server{plain("192.0.2.2:80"), plain("192.0.2.1:80")}},
			want: "192.0.2.2:80 192.0.2.2:80 w1\n192.0.2.1:80 192.0.2.1:80 w1\n",
		},
		"a name with one address keeps its name": {
			pool:    proxy.Pool{Servers: []proxy.Server{named("a.internal:80")}},
			answers: map[string]Answer{"a.internal:80": answer("192.0.2.1:80")},
			want:    "a.internal:80 192.0.2.1:80 w1\n",
		},
		"a name with several addresses has as many servers, in order of address": {
			pool:    proxy.Pool{Servers: []proxy.Server{{Name: "a", Host: "a.internal:80", Weight: 3}}},
			answers: map[string]Answer{"a.internal:80": answer("192.0.2.9:80", "192.0.2.1:80", "[2001:db8::1]:80")},
			want:    "a/192.0.2.1 192.0.2.1:80 w3\na/192.0.2.9 192.0.2.9:80 w3\na/2001:db8::1 [2001:db8::1]:80 w3\n",
		},
		"a name without an answer is left out": {
			pool:    proxy.Pool{Servers: []proxy.Server{named("a.internal:80"), plain("192.0.2.1:80")}},
			answers: map[string]Answer{"a.internal:80": {Err: "timeout"}},
			want:    "192.0.2.1:80 192.0.2.1:80 w1\n",
			notes:   "pool web: a.internal:80 did not resolve: timeout; the pool runs without it\n",
		},
		"an answer that is old goes on": {
			pool:    proxy.Pool{Servers: []proxy.Server{named("a.internal:80")}},
			answers: map[string]Answer{"a.internal:80": {Targets: answer("192.0.2.1:80").Targets, At: time.Unix(1, 0), Err: "timeout"}},
			want:    "a.internal:80 192.0.2.1:80 w1\n",
		},
		"a pool may have no server yet": {
			pool:  proxy.Pool{Discover: proxy.Discover{DNS: "web.internal:80"}},
			notes: "pool web: web.internal:80 did not resolve: no answer yet; the pool runs without it\npool web: it has no server\n",
		},
		"SRV records give weights, and backups": {
			pool: proxy.Pool{Discover: proxy.Discover{DNS: "_http._tcp.web"}},
			answers: map[string]Answer{"_http._tcp.web": {At: time.Unix(1, 0), Targets: []Target{
				{Address: at("192.0.2.3:80"), Priority: 20, Weight: 5, Service: true},
				{Address: at("192.0.2.2:81"), Priority: 10, Weight: 20000, Service: true},
				{Address: at("192.0.2.1:80"), Priority: 10, Weight: 10000, Service: true},
				{Address: at("192.0.2.4:80"), Priority: 10, Weight: 0, Service: true},
			}}},
			want: "192.0.2.1:80 192.0.2.1:80 w500\n192.0.2.2:81 192.0.2.2:81 w1000\n192.0.2.4:80 192.0.2.4:80 w1\n192.0.2.3:80 192.0.2.3:80 w5 backup\n",
		},
		"an address counts once": {
			pool:    proxy.Pool{Servers: []proxy.Server{plain("192.0.2.1:80")}, Discover: proxy.Discover{DNS: "web.internal:80"}},
			answers: map[string]Answer{"web.internal:80": answer("192.0.2.1:80", "192.0.2.2:80")},
			want:    "192.0.2.1:80 192.0.2.1:80 w1\n192.0.2.2:80 192.0.2.2:80 w1\n",
			notes:   "pool web: 192.0.2.1:80 and 192.0.2.1:80 (of web.internal:80) are the same address 192.0.2.1:80; it counts once, as 192.0.2.1:80\n",
		},
		"the overlay has the last word": {
			pool:    proxy.Pool{Servers: []proxy.Server{plain("192.0.2.1:80"), plain("192.0.2.2:80"), named("a.internal:80")}},
			answers: map[string]Answer{"a.internal:80": answer("192.0.2.4:80", "192.0.2.5:80"), "b.internal:80": answer("192.0.2.6:80")},
			overlay: Overlay{
				{Pool: "web", Server: "192.0.2.1:80", Removed: true},
				{Pool: "web", Server: "192.0.2.2:80", Weight: &weight},
				{Pool: "web", Server: "a.internal:80", State: &drain},
				{Pool: "web", Server: "192.0.2.5:80", Weight: &weight},
				{Pool: "web", Server: "b.internal:80", Added: true},
				{Pool: "web", Server: "192.0.2.7:80", Added: true, State: &drain},
				{Pool: "other", Server: "192.0.2.2:80", Removed: true},
			},
			want: "192.0.2.2:80 192.0.2.2:80 w7\n" +
				"a.internal:80/192.0.2.4 192.0.2.4:80 w1 drain\na.internal:80/192.0.2.5 192.0.2.5:80 w7 drain\n" +
				"b.internal:80 192.0.2.6:80 w1\n192.0.2.7:80 192.0.2.7:80 w1 drain\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.pool.Name = "web"
			before := fmt.Sprint(tc.pool.Servers)
			got, notes := Compose(specOf(tc.pool), tc.answers, tc.overlay)
			if diff := cmp.Diff(tc.want, show(got.Pools[0])); diff != "" {
				t.Errorf("servers (-want +got):\n%s", diff)
			}
			var text string
			for _, n := range notes {
				text += n.String() + "\n"
			}
			if diff := cmp.Diff(tc.notes, text); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			if after := fmt.Sprint(tc.pool.Servers); after != before {
				t.Errorf("the config was changed: %s, before %s", after, before)
			}
		})
	}
}

func TestNamesAreAskedForOnce(t *testing.T) {
	spec := specOf(
		proxy.Pool{Name: "a", Servers: []proxy.Server{named("a.internal:80"), plain("192.0.2.1:80")}, Discover: proxy.Discover{DNS: "_http._tcp.web"}},
		proxy.Pool{Name: "b", Servers: []proxy.Server{named("a.internal:80")}},
	)
	got := Names(spec, Overlay{{Pool: "b", Server: "new.internal:80", Added: true}, {Pool: "a", Server: "192.0.2.9:80", Added: true}})
	if diff := cmp.Diff([]string{"a.internal:80", "_http._tcp.web", "new.internal:80"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// What the worker gets always has valid, distinct addresses, and does not depend
// on the order in which DNS lists them.
func TestComposedPoolsAreSound(t *testing.T) {
	address := rapid.Custom(func(t *rapid.T) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, rapid.Byte().Draw(t, "host") % 6}), 80)
	})
	target := rapid.Custom(func(t *rapid.T) Target {
		return Target{Address: address.Draw(t, "address"), Weight: rapid.Uint16().Draw(t, "weight"), Priority: rapid.Uint16Range(0, 2).Draw(t, "priority"), Service: true}
	})
	rapid.Check(t, func(t *rapid.T) {
		pool := proxy.Pool{Name: "web", Discover: proxy.Discover{DNS: "_http._tcp.web"}, Servers: []proxy.Server{named("a.internal:80")}}
		for _, a := range rapid.SliceOfN(address, 0, 4).Draw(t, "file") {
			pool.Servers = append(pool.Servers, plain(a.String()))
		}
		spec := specOf(pool)
		targets := rapid.SliceOfNDistinct(target, 0, 6, func(t Target) netip.AddrPort { return t.Address }).Draw(t, "targets")
		answers := map[string]Answer{"_http._tcp.web": {Targets: targets, At: time.Unix(1, 0)},
			"a.internal:80": {Targets: rapid.SliceOf(target).Draw(t, "of a"), At: time.Unix(1, 0)}}
		var o Overlay
		for range rapid.IntRange(0, 8).Draw(t, "changes") {
			c := Change{Pool: "web", Server: address.Draw(t, "of").String(), Weight: rapid.IntRange(0, 1000).Draw(t, "n"),
				Verb: rapid.SampledFrom([]Verb{SetReady, SetDrain, SetMaint, SetWeight, Add, Remove}).Draw(t, "verb")}
			if next, err := o.With(c, spec, answers); err == nil {
				o = next
			}
		}
		got, _ := Compose(spec, answers, o)
		seen := map[netip.AddrPort]bool{}
		for _, s := range got.Pools[0].Servers {
			if !s.Address.IsValid() || seen[s.Address] || s.Weight < 0 || s.Weight > 1000 {
				t.Fatalf("server %+v is invalid, or there twice", s)
			}
			seen[s.Address] = true
		}
		answers["_http._tcp.web"] = Answer{Targets: rapid.Permutation(targets).Draw(t, "other order"), At: time.Unix(1, 0)}
		again, _ := Compose(spec, answers, o)
		if diff := cmp.Diff(got, again, addresses); diff != "" {
			t.Fatalf("the order of the answer matters (-one +other):\n%s", diff)
		}
		if kept, dropped := o.Reconcile(spec); len(dropped) > 0 || len(kept) != len(o) {
			t.Fatalf("the same config drops %+v", dropped)
		}
	})
}
