package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// nginxConfig is nginx as a user would have it for production, with connections to
// the server kept open as many as there are clients. Bodies are held in memory, up to
// 64 KiB of a request: by default those of 16 KiB, with what goes before them, spill
// into files, and out of these in two segments, the second of which waits for the
// acknowledgement of the first, 40 ms each.
func nginxConfig(s site, root bool) string {
	user := ""
	if root { // its workers would otherwise not reach the folder
		user = "user root;\n"
	}
	return user + fmt.Sprintf(`worker_processes %d;
worker_rlimit_nofile %d;
daemon off;
pid %s;
error_log stderr error;
events { worker_connections %d; }
http {
  access_log %s combined buffer=64k;
  client_body_temp_path %s;
  proxy_temp_path %s;
  fastcgi_temp_path %s;
  uwsgi_temp_path %s;
  scgi_temp_path %s;
  client_body_buffer_size 64k;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  upstream web {
    server %s;
    keepalive 1024;
    keepalive_requests 1000000000;
  }
  server {
    listen %s backlog=4096;
    location / {
      proxy_pass http://web;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
    location = /nginx_status { stub_status; access_log off; }
  }
}
`, s.threads, s.files, s.path("pid"), s.files-100, s.path("access.log"), s.path("body"), s.path("proxy"),
		s.path("fastcgi"), s.path("uwsgi"), s.path("scgi"), s.backend, s.listen)
}

func startNginx(ctx context.Context, s site) (*instance, error) {
	if err := os.WriteFile(s.path("nginx.conf"), []byte(nginxConfig(s, os.Geteuid() == 0)), 0o644); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	p, err := launch(exec.Command("nginx", "-p", s.dir, "-e", "stderr", "-c", s.path("nginx.conf")), s.path("log"))
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, s, p); err != nil {
		return nil, err
	}
	tree, err := family(p.pid())
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	i := &instance{site: s, main: p, others: []int{p.pid()}}
	for _, m := range tree[1:] {
		i.proxies = append(i.proxies, m.pid)
	}
	return i, nil
}
