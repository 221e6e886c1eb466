package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
)

func TestEventsForPeople(t *testing.T) {
	at := func(day, second int) time.Time { return time.Date(2026, 1, day, 15, 4, second, 7_000_000, time.Local) }
	events := []admin.Event{
		{Node: "lb1", At: at(2, 5), Kind: admin.RoleEvent, Subject: "main", What: "active -> backup: a better one was heard", Evidence: "priority 150"},
		{Node: "lb2", At: at(2, 6), Kind: admin.WorkerEvent, What: "started, pid 7"},
		{Node: "a-third", At: at(3, 0), Kind: admin.CertificateEvent, Subject: "a-long/subject", What: "replaced"},
	}
	want := strings.TrimLeft(`
2026-01-02 Friday
15:04:05.007  lb1  role      main      active -> backup: a better one was heard
                                       priority 150
15:04:06.007  lb2  worker              started, pid 7

2026-01-03 Saturday
15:04:00.007  a-third  certificate  a-long/subject  replaced
`, "\n")
	var got strings.Builder
	p := eventPrinter{w: &got, kind: 8, subject: 8}
	for _, e := range events {
		if err := p.print(e); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A proxy that stands alone has no name.
func TestEventsOfASingleProxy(t *testing.T) {
	var got strings.Builder
	p := eventPrinter{w: &got, day: "2026-01-02 Friday"}
	e := admin.Event{At: time.Date(2026, 1, 2, 15, 4, 5, 0, time.Local), Kind: admin.ConfigEvent, What: "loaded"}
	if err := p.print(e); err != nil || got.String() != "15:04:05.000  config    loaded\n" {
		t.Errorf("%q, %v", got.String(), err)
	}
}

// A node that is started anew is asked for what happened meanwhile, and not for what
// nobody wanted to see before.
func TestFollowingGoesOnBehindARestart(t *testing.T) {
	event := func(seq uint64) admin.Event {
		return admin.Event{Node: "lb1", Boot: 1, Seq: seq, At: time.Unix(int64(1000+seq), 0).UTC(), Kind: admin.ConfigEvent, What: fmt.Sprint(seq)}
	}
	kept := []admin.Event{event(1), event(2), event(3)}
	socket := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	node := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		since, _ := time.Parse(time.RFC3339, r.FormValue("since"))
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		past := slices.DeleteFunc(slices.Clone(kept), func(e admin.Event) bool { return e.At.Before(since) })
		for _, e := range past[max(0, len(past)-limit):] {
			json.NewEncoder(w).Encode(e)
		}
		kept = append(kept, event(uint64(len(kept)+1))) // while it is away
	}))
	node.Listener = l
	node.Start()
	defer node.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	tell := func(e admin.Event) error {
		if got = append(got, e.What); e.What == "5" {
			cancel()
		}
		return nil
	}
	if err := followEvents(ctx, admin.NewClient(socket), follower{limit: 2, tell: tell, note: io.Discard}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"2", "3", "4", "5"}, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestSessionsInTheStatus(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	keys := []admin.TicketKey{{ID: "aa", Born: now.Add(-3 * time.Hour)}, {ID: "bb", Born: now.Add(-15 * time.Hour)}}
	web, client := []admin.Certificate{{Listener: "web"}}, []admin.Certificate{{Pool: "web"}}
	for name, tc := range map[string]struct {
		tickets admin.Tickets
		list    []admin.Certificate
		want    string
	}{
		"shared":      {admin.Tickets{Shared: true, Keys: keys}, web, "sessions  of TLS survive a failover: 2 keys are shared with the peer, the newest is 3h0m old"},
		"not shared":  {admin.Tickets{Unshared: "no key_file", Keys: keys}, web, "sessions  NOT SHARED: no key_file"},
		"alone":       {admin.Tickets{Keys: keys}, web, ""},
		"no listener": {admin.Tickets{Shared: true, Keys: keys}, client, ""},
		"starting":    {admin.Tickets{Shared: true}, web, ""},
	} {
		var got strings.Builder
		p := statusPrinter{w: &got, now: now}
		p.sessions(&admin.Status{Tickets: tc.tickets, Certificates: admin.Certificates{List: tc.list}})
		if text := strings.TrimSpace(got.String()); text != tc.want || p.err != nil {
			t.Errorf("%s: %q, want %q", name, text, tc.want)
		}
	}
}
