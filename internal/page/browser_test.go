package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/browser"
	"github.com/tandemlb/tandem/internal/verdict"
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
