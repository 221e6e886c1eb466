package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// fakeTimeline remembers what it was asked.
type fakeTimeline struct {
	since time.Time
	limit int
	past  []Event
	nextC chan Event
}

func (f *fakeTimeline) Events(since time.Time, limit int) []Event {
	f.since, f.limit = since, limit
	return f.past
}

func (f *fakeTimeline) Follow(_ context.Context, since time.Time, limit int) ([]Event, <-chan Event) {
	return f.Events(since, limit), f.nextC
}

type historian struct {
	fakeNode
	timeline *fakeTimeline
}

func (h *historian) Timeline() Timeline { return h.timeline }

func happened(what string) Event {
	return Event{Node: "lb1", Boot: 1, Seq: uint64(len(what)), At: time.Unix(1000, 0).UTC(), Kind: RoleEvent, What: what}
}

// tell serves a timeline and returns a client for it.
func tell(t *testing.T, f *fakeTimeline) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	doneC := make(chan error, 1)
	go func() { doneC <- Serve(ctx, l, Handler(&historian{timeline: f}, nil), zap.NewNop()) }()
	t.Cleanup(func() {
		stop()
		if err := <-doneC; err != nil {
			t.Error(err)
		}
	})
	return NewClient(socket)
}

func TestEventsAreTold(t *testing.T) {
	f := &fakeTimeline{past: []Event{happened("one")}}
	since := time.Date(2026, 1, 2, 12, 0, 0, 5, time.UTC)
	got, err := tell(t, f).Events(t.Context(), since, 7)
	if err != nil || len(got) != 1 || got[0] != f.past[0] || !f.since.Equal(since) || f.limit != 7 {
		t.Errorf("%+v, %v; asked since %v, limit %d", got, err, f.since, f.limit)
	}
}

func TestEventsAreFollowed(t *testing.T) {
	f := &fakeTimeline{past: []Event{happened("a"), happened("ab")}, nextC: make(chan Event, 1)}
	var got []string
	err := tell(t, f).Follow(t.Context(), time.Time{}, 7, func(e Event) error {
		got = append(got, e.What)
		switch e.What {
		case "ab":
			f.nextC <- happened("abc")
		case "abc":
			close(f.nextC) // it was too slow
		}
		return nil
	})
	if text := strings.Join(got, " "); text != "a ab abc" || !errors.Is(err, ErrEnded) {
		t.Errorf("%q, %v", text, err)
	}
	enough := errors.New("enough")
	if err := tell(t, &fakeTimeline{past: f.past}).Follow(t.Context(), time.Time{}, 7, func(Event) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
}

func TestQueriesOfEvents(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"":                           "",
		"since=1h&limit=5&follow=1":  "",
		"since=2026-01-02T11:00:00Z": "",
		"since=yesterday":            `since="yesterday" is neither a duration`,
		"since=-1h":                  `since="-1h" is neither a duration`,
		"limit=-1":                   `limit="-1" is not a number from 0 to 10000`,
		"limit=10001":                "is not a number",
		"follow=maybe":               `follow="maybe" is neither 1 nor 0`,
		"until=1h":                   `unknown parameter "until"`,
	} {
		v, err := url.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		q, err := parseQuery(v, now)
		switch {
		case want == "" && (err != nil || strings.Contains(text, "since") && !q.since.Equal(now.Add(-time.Hour))):
			t.Errorf("%s: %+v, %v", text, q, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	client := tell(t, &fakeTimeline{})
	if _, err := client.Events(t.Context(), time.Time{}, -1); err == nil || !strings.Contains(err.Error(), "ask for events: limit") {
		t.Errorf("%v", err)
	}
	if err := client.Follow(t.Context(), time.Time{}, -1, nil); err == nil || !strings.Contains(err.Error(), "ask for events: limit") || errors.Is(err, ErrEnded) {
		t.Errorf("%v", err)
	}
}

// flushed is a response that says when it was written to.
type flushed struct {
	http.ResponseWriter
	header  http.Header
	written []string
}

func (f *flushed) Header() http.Header { return f.header }
func (f *flushed) WriteHeader(int)     {}
func (f *flushed) Write(b []byte) (int, error) {
	f.written = append(f.written, string(b))
	return len(b), nil
}
func (f *flushed) FlushError() error                { return nil }
func (f *flushed) SetWriteDeadline(time.Time) error { return nil }

func TestAStreamSaysThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		w := &flushed{header: http.Header{}}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/v1/events?follow=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		nextC := make(chan Event)
		h := &events{Timeline: &fakeTimeline{nextC: nextC}}
		doneC := make(chan struct{})
		go func() { h.ServeHTTP(w, r); close(doneC) }()
		time.Sleep(2*aliveEvery + time.Second)
		stop()
		close(nextC) // as a Store does
		<-doneC
		if len(w.written) != 3 || strings.Join(w.written, "") != "\n\n\n" || h.followers.Load() != 0 {
			t.Errorf("%q, %d followers", w.written, h.followers.Load())
		}
		t.Log("# there is an end to how many follow")
		h.followers.Store(maxFollowers)
		h.ServeHTTP(w, r)
		if text := strings.Join(w.written, ""); !strings.Contains(text, "64 others do") || h.followers.Load() != maxFollowers {
			t.Errorf("%q", text)
		}
	})
}
