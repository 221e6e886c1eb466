package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
)

const exampleText = `The config, %s:

%s
Two built-in servers answer behind it. In another terminal:

  for i in 1 2 3 4; do curl http://127.0.0.1:8080/; done
  tandem status

Ctrl-C ends it.

`

// example is two servers, and a config for a proxy before them in a folder of
// its own.
type example struct {
	dir     string
	servers []*http.Server
	tasks   sync.WaitGroup // the servers
}

// startExample starts the servers and says what there is to see. The caller
// closes the example.
func startExample(o output) (*example, error) {
	dir, err := os.MkdirTemp("", "tandem-example-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the example: %w", err)
	}
	e := &example{dir: dir}
	var addresses [2]string
	for i, name := range []string{"one", "two"} {
		if addresses[i], err = e.serve(name); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	text := fmt.Sprintf("listeners:\n  hello: {bind: \"127.0.0.1:8080\", servers: [%q, %q], check: GET /}\n", addresses[0], addresses[1])
	if err := os.WriteFile(e.config(), []byte(text), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write the example's config: %w", err), e.close())
	}
	fmt.Fprintf(o.out, exampleText, e.config(), text)
	return e, nil
}

// config returns the path of the config.
func (e *example) config() string { return filepath.Join(e.dir, "tandem.yaml") }

// state returns the folder for what outlives the process: until close.
func (e *example) state() string { return filepath.Join(e.dir, "state") }

// serve starts a server that says its name, and returns its address.
func (e *example) serve(name string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("start example server %s: %w", name, err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello from server %s: %s %s\n", name, r.Method, r.URL.Path)
	})}
	e.servers = append(e.servers, s)
	e.tasks.Go(func() { _ = s.Serve(l) }) // until close
	return l.Addr().String(), nil
}

// close ends the servers and removes the folder.
func (e *example) close() error {
	var errs []error
	for _, s := range e.servers {
		errs = append(errs, s.Close())
	}
	e.tasks.Wait()
	return errors.Join(append(errs, os.RemoveAll(e.dir))...)
}
