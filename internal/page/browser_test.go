package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/browser"
	"github.com/tandemlb/tandem/internal/verdict"
	"github.com/tandemlb/tandem/vrrp"
)

// tells serves the page, with a feed of these events that stays open.
func tells(t *testing.T, feed http.HandlerFunc) *browser.Tab {
	t.Helper()
	tab := browser.Open(t)
	mux := http.NewServeMux()
	mux.Handle("/", Handler())
	mux.HandleFunc("/v1/access", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token": false}`) })
	mux.HandleFunc("/v1/feed", feed)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	tab.Go(server.URL + "/")
	return tab
}

// scene is a snapshot of a plain proxy without a word on its pools.
func scene(at time.Time) Snapshot {
	return Snapshot{At: at, Verdict: verdict.Verdict{Level: verdict.OK, Headline: "All is well", Lines: []string{}, Points: []verdict.Point{}}, Status: admin.Status{
		VIPs: []admin.VIP{}, Peers: []admin.Peer{}, Listeners: []admin.Listener{}, Pools: []admin.Pool{},
	}}
}

// send writes events, each of which is a snapshot or what a history has.
func send(w http.ResponseWriter, all ...any) {
	for _, what := range all {
		name := "history"
		if _, is := what.(Snapshot); is {
			name = "snapshot"
		}
		w.Write(event(name, what))
	}
	w.(http.Flusher).Flush()
}

// The charts go on while a clock is set back, in autumn by an hour.
func TestChartsFollowAClockThatIsSetBack(t *testing.T) {
	sampled := func(at string, requests float64) (s Snapshot, sample Sample) {
		var when time.Time
		if err := when.UnmarshalText([]byte(at)); err != nil {
			t.Fatal(err)
		}
		s, sample = scene(when), Sample{At: when, Requests: requests}
		s.Sample = &sample
		return s, sample
	}
	_, past := sampled("2026-10-25T02:59:58+02:00", 1)
	one, _ := sampled("2026-10-25T02:59:59+02:00", 2)
	summer, _ := sampled("2026-10-25T02:00:00+01:00", 3)
	back, _ := sampled("2026-10-25T01:00:00+01:00", 4)
	turn := make(chan Snapshot)
	tab := tells(t, func(w http.ResponseWriter, r *http.Request) {
		send(w, []Sample{past, *one.Sample}, one)
		for {
			select {
			case s := <-turn:
				send(w, s)
			case <-r.Context().Done():
				return
			}
		}
	})
	for i, s := range []Snapshot{one, summer, back} {
		turn <- s
		tab.Wait(fmt.Sprintf(`document.querySelector("#chart-requests-requests").textContent === "%d.0"`, i+2))
	}
}

func TestAPoolWithoutServersIsNotWell(t *testing.T) {
	s := scene(time.Now())
	s.Status.Pools = []admin.Pool{{Name: "web", Servers: []admin.Server{}}}
	tab := tells(t, func(w http.ResponseWriter, r *http.Request) {
		send(w, s)
		<-r.Context().Done()
	})
	tab.Wait(`document.querySelector("#pools .pool-head .state-alarm")?.textContent.includes("no server")`)
}

// Only a token that is missing or wrong is asked for.
func TestABusyNodeIsAskedAgain(t *testing.T) {
	refusals := []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}
	var calls atomic.Int64
	tab := tells(t, func(w http.ResponseWriter, r *http.Request) {
		if n := int(calls.Add(1)); n <= len(refusals) {
			w.WriteHeader(refusals[n-1])
			json.NewEncoder(w).Encode(admin.Failure{Error: fmt.Sprint("come again: ", n)})
			return
		}
		send(w, scene(time.Now()))
		<-r.Context().Done()
	})
	for i := range refusals {
		tab.Wait(fmt.Sprintf(`document.querySelector("#lost").textContent.includes("come again: %d") && document.querySelector("#ask").hidden`, i+1))
	}
	tab.Wait(`document.querySelector("#headline")?.textContent === "All is well" && document.querySelector("#lost").hidden`)
}

// Whatever state a node is in, the page shows it.
func TestThePageShowsEachState(t *testing.T) {
	now := time.Now()
	vip := func(role vrrp.Role) admin.VIP {
		return admin.VIP{Name: "main", Role: role, Since: now, Reason: "why", Base: 200, Priority: 200, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")}}
	}
	peer := admin.Peer{Name: "lb2", Address: netip.MustParseAddr("192.0.2.12")}
	heard := peer
	heard.Alive, heard.Fit, heard.Hash = true, true, "aa"
	heard.Roles, heard.Priorities = map[string]vrrp.Role{"main": vrrp.Backup}, map[string]uint8{"main": 150}
	states := []struct {
		change func(*admin.Status)
		says   string
	}{
		{func(*admin.Status) {}, "This node is a plain proxy"},
		{func(s *admin.Status) { s.VIPs, s.Peers = append(s.VIPs, vip(vrrp.Init)), append(s.Peers, peer) }, "Not heard yet"},
		{func(s *admin.Status) { s.VIPs, s.Peers = append(s.VIPs, vip(vrrp.Backup)), append(s.Peers, heard) }, "nobody"},
		{func(s *admin.Status) {
			heard.Verdict, heard.Explained, heard.Alive = "death", "silent on both channels", false
			s.VIPs, s.Peers = append(s.VIPs, vip(vrrp.Active)), append(s.Peers, heard)
		}, "Silent on both channels"},
		{func(s *admin.Status) {
			heard.Verdict, heard.Alive, heard.Roles, heard.Priorities = "gossip_cut", false, nil, nil
			s.VIPs, s.Peers, s.Agent = append(s.VIPs, vip(vrrp.Active)), append(s.Peers, heard), &admin.Process{Error: "it has ended"}
		}, "it has ended"},
		{func(s *admin.Status) {
			s.Pools = append(s.Pools, admin.Pool{Name: "web", Servers: []admin.Server{{Name: "a", Health: "unknown"}}})
			s.Listeners = append(s.Listeners, admin.Listener{Name: "dns", Protocol: "udp", Bind: []string{":53"}, Refused: map[string]uint64{"full": 3}})
			s.Names = []admin.Name{{Name: "web.internal", Addresses: []string{}}}
		}, "not checked"},
		{func(s *admin.Status) {
			s.Certificates.List = []admin.Certificate{{Listener: "shop", Subject: "CN=shop", NotAfter: now.Add(-time.Hour)}}
			s.Config.Refused, s.Timeline = "line one\nline two", "no space left on device"
		}, "expired 1 h ago"},
	}
	next := make(chan Snapshot)
	tab := tells(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			select {
			case s := <-next:
				send(w, s)
			case <-r.Context().Done():
				return
			}
		}
	})
	for i, state := range states {
		s := scene(now)
		s.Status.Node, s.Status.Fit = fmt.Sprint("state ", i), true
		state.change(&s.Status)
		s.Verdict = verdict.Judge(now.Add(time.Minute), &s.Status)
		next <- s
		tab.Wait(fmt.Sprintf(`document.querySelector("#name").textContent === %q && document.querySelector("#node").innerText.includes("This node")`, s.Status.Node))
		tab.Wait(fmt.Sprintf(`document.querySelector("main").innerText.includes(%q)`, state.says))
	}
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the console says %q", said)
	}
}
