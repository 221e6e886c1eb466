package console

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/admin"
)

func TestAClientAsksOverTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key, _ := writePair(t, dir, 1)
	tokenFile := tokenFile(t)
	n := &fakeNode{}
	url := run(t, open(t, Options{Node: n, Cert: cert, Key: key, TokenFile: tokenFile}))
	drain := admin.ServerChange{Pool: "web", Server: "a", Verb: "drain"}
	tests := []struct {
		name string
		with admin.Credentials
		want string // in the error; empty: it is answered
	}{
		{"with everything", admin.Credentials{TokenFile: tokenFile, CA: cert}, ""},
		{"without the CA", admin.Credentials{TokenFile: tokenFile}, "--ca FILE"},
		{"without the token", admin.Credentials{CA: cert}, "a token is needed"},
		{"with another file as token", admin.Credentials{TokenFile: filepath.Join(dir, "none"), CA: cert}, "no such file"},
		{"with a CA that is none", admin.Credentials{TokenFile: tokenFile, CA: tokenFile}, "holds no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n.changes = nil
			c, err := admin.Target(url+"/", tt.with)
			if err == nil {
				err = c.Change(t.Context(), drain)
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if (err == nil) != (len(n.changes) == 1) {
				t.Errorf("changes %v", n.changes)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the error holds the token: %v", err)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	tokenFile := tokenFile(t)
	for _, where := range []string{"http://192.0.2.11:8404", "https://user@192.0.2.11", "https://192.0.2.11/v1/status", "https://", "https://192.0.2.11:8404/?a=b"} {
		if _, err := admin.Target(where, admin.Credentials{TokenFile: tokenFile}); err == nil {
			t.Errorf("%s is accepted", where)
		}
	}
	for _, where := range []string{"http://127.0.0.1:8404", "http://localhost:8404/", "http://[::1]:8404", "https://lb1.example.com:8404", "/run/tandem/admin.sock"} {
		if _, err := admin.Target(where, admin.Credentials{TokenFile: tokenFile}); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
}
