package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/admin"
)

// What health checks ask: a node that is not fit fails them, and one that stands by does
// not.
func TestStatusFailsUnlessFit(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		fit  bool
		want string
	}{
		"fit":              {[]string{"--fit"}, true, ""},
		"not fit":          {[]string{"--fit"}, false, "the node is not fit: the proxy does not serve"},
		"not fit, as JSON": {[]string{"--fit", "--json"}, false, "the node is not fit"},
		"not asked":        {nil, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "admin.sock")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(admin.Status{Fit: tc.fit, Unfit: "the proxy does not serve"})
			})}
			ended := make(chan struct{})
			go func() { defer close(ended); _ = s.Serve(l) }()
			defer func() { s.Close(); <-ended }()
			err = run(append([]string{"status", "--socket", socket}, tc.args...), io.Discard, io.Discard)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
