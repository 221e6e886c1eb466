package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzEventQuery reads what a caller asks of the events.
func FuzzEventQuery(f *testing.F) {
	for _, q := range []string{"", "since=1h", "since=2026-01-02T03:04:05Z&limit=10", "follow=1&limit=-1", "limit=99999999999999999999", "since=%zz"} {
		f.Add(q)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		q, err := parseQuery(v, now)
		if err == nil && q.limit < 0 {
			t.Errorf("%q: %+v", text, q)
		}
	})
}

// listener notes the changes that reach it.
type listener struct {
	Node
	got []ServerChange
}

func (l *listener) Change(_ context.Context, c ServerChange) error {
	l.got = append(l.got, c)
	return nil
}

// FuzzChange reads what a caller posts to change a server: what is refused reaches nobody.
func FuzzChange(f *testing.F) {
	for _, body := range []string{`{"target":"web/a","verb":"drain"}`, `{"target":1}`, `{`, `{"unknown":1}`, ``, `null`, `[]`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		l := &listener{}
		w := httptest.NewRecorder()
		Handler(l, nil).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/server", strings.NewReader(body)))
		if (w.Code == http.StatusOK) != (len(l.got) == 1) || w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("%q: status %d, %d changes", body, w.Code, len(l.got))
		}
	})
}
