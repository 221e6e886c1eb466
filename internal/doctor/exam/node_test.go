package exam

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/doctor"
)

// A node whose config names its admin socket is found there.
func TestNodeIsFoundWhereItsConfigSays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "its-own.sock")
	socket, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"node": "lb1"}`) // to a client that may have gone
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(socket) // until Close
	}()
	defer func() {
		server.Close()
		<-served
	}()

	cfg, err := config.Parse("t.yaml", []byte("admin: {socket: "+path+"}\nlisteners: {web: {bind: \":80\", servers: [192.0.2.21:80]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	e := examOf(filepath.Join(dir, "default.sock"))
	e.config = cfg
	e.askNode(t.Context())
	if e.status == nil || e.status.Node != "lb1" || e.Socket != path {
		t.Errorf("found %+v at %q", e.status, e.Socket)
	}
	e = examOf(path)
	e.askNode(t.Context()) // whose config cannot be read
	if e.status == nil {
		t.Error("the node that was named is not found")
	}
}

func examOf(socket string) *exam {
	return &exam{Options: Options{Socket: socket}, facts: new(doctor.Facts)}
}
