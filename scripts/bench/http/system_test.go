package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTakingTurns(t *testing.T) {
	for by, want := range map[int][]string{
		0: {"a", "b", "c"}, 1: {"b", "c", "a"}, 2: {"c", "a", "b"}, 3: {"a", "b", "c"},
	} {
		if diff := cmp.Diff(want, rotated([]string{"a", "b", "c"}, by)); diff != "" {
			t.Errorf("by %d (-want +got):\n%s", by, diff)
		}
	}
}

func TestChooseSystems(t *testing.T) {
	all := systems(&tandem{binary: "tandem"})
	got, err := choose(all, "tandem-2,haproxy")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].name != "haproxy" || got[1].name != "tandem-2" || got[1].threads != 2 {
		t.Errorf("got %v, want haproxy and tandem-2", got)
	}
	for _, bad := range []string{"", "haproxy,", "apache"} {
		if _, err := choose(all, bad); err == nil || !strings.Contains(err.Error(), "is none of haproxy,") {
			t.Errorf("%q: got %v, want an error with the names", bad, err)
		}
	}
	if _, err := choose(systems(nil), "tandem"); err == nil {
		t.Error("chose tandem without its binary")
	}
}

func TestConfigs(t *testing.T) {
	s := site{dir: "/d", listen: "127.0.0.1:80", backend: "127.0.0.1:81", threads: 2, files: 20000}
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"haproxy", haproxyConfig(s, "always"), []string{
			"nbthread 2\n", "bind 127.0.0.1:80\n", "server a 127.0.0.1:81 ", "option forwardfor\n", "option httplog\n", "http-reuse always\n", "maxconn 9900\n",
		}},
		{"nginx", nginxConfig(s, true), []string{
			"user root;\n", "worker_processes 2;\n", "listen 127.0.0.1:80 ", "server 127.0.0.1:81;", "access_log /d/access.log combined buffer=64k;", "worker_rlimit_nofile 20000;",
		}},
		{"tandem", tandemConfig(s, true, "127.0.0.1:82"), []string{
			`web: {bind: "127.0.0.1:80", pool: web}`, `another: {bind: "127.0.0.1:82", pool: web}`, `servers: ["127.0.0.1:81"]`, `admin: {socket: "/d/admin.sock"}`, "log: {access: true}",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, want := range test.want {
				if !strings.Contains(test.text, want) {
					t.Errorf("no %q in:\n%s", want, test.text)
				}
			}
			if strings.Contains(test.text, "%!") {
				t.Errorf("badly formatted:\n%s", test.text)
			}
		})
	}
}

func TestAccessLogIsSeen(t *testing.T) {
	i := &instance{site: site{dir: t.TempDir()}}
	file, err := os.Create(i.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(`{"msg": "serving"}` + "\n"); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if logs, err := i.writesAccess(over); logs || !errors.Is(err, context.Canceled) {
		t.Errorf("without a line for a request: got %v, %v; want to wait for one", logs, err)
	}
	if _, err := file.WriteString(`{"path": "/small"}` + "\n"); err != nil {
		t.Fatal(err)
	}
	if logs, err := i.writesAccess(t.Context()); !logs || err != nil {
		t.Errorf("with a line for a request: got %v, %v; want true", logs, err)
	}
}
