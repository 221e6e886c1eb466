package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Node is what the API gives access to.
type Node interface {
	Status(ctx context.Context) (*Status, error)
	Explain(ctx context.Context) (*Explanation, error)
	// Reload reads the config file again. On an error nothing has changed.
	Reload(ctx context.Context) error
	// Change changes a server of a pool, on this node. On an error nothing has changed.
	Change(ctx context.Context, c ServerChange) error
}

// Failure is the body of every answer that is not a success.
type Failure struct {
	Error string `json:"error"`
}

// Listen opens the socket at path, for its owner and group alone. A socket that
// an earlier process left behind is replaced; one that somebody answers on is
// not.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("open admin socket: %w", err)
	}
	if err := ownFolder(filepath.Dir(path), os.Geteuid()); err != nil {
		return nil, fmt.Errorf("open admin socket: %w", err)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("open admin socket: another process answers on %s (is tandem running already?)", path)
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("open admin socket: %s exists and is not a socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("open admin socket: %w", err)
		}
	}
	// The mode must be right from the first moment on.
	old := unix.Umask(0o117)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("open admin socket: %w", err)
	}
	return l, nil
}

// ownFolder refuses a folder that belongs to another user than root and user, who could
// put a socket of his own in the place of this one, and hear what operators say. Root
// may put its socket where it likes.
func ownFolder(dir string, user int) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if st, is := info.Sys().(*syscall.Stat_t); is && user != 0 && st.Uid != 0 && int(st.Uid) != user {
		return fmt.Errorf("the folder %s belongs to another user, uid %d (hint: name one of your own with --socket)", dir, st.Uid)
	}
	return nil
}

// Serve has h answer on l until ctx is done. It closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *zap.Logger) error {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          zap.NewStdLog(log),
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the admin socket: %w", err)
	}
	return nil
}

// Handler answers what the API is asked of n. Who may ask is for others to decide.
// metrics are served as they are; nil: there are none.
func Handler(n Node, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", ask(n.Status))
	mux.HandleFunc("GET /v1/explain", ask(n.Explain))
	if h, is := n.(Historian); is {
		mux.Handle("GET /v1/events", &events{Timeline: h.Timeline()})
	}
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		if err := n.Reload(r.Context()); err != nil {
			Answer(w, http.StatusUnprocessableEntity, Failure{err.Error()})
			return
		}
		Answer(w, http.StatusOK, struct{}{})
	})
	mux.HandleFunc("POST /v1/server", func(w http.ResponseWriter, r *http.Request) {
		var c ServerChange
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			Answer(w, http.StatusBadRequest, Failure{"decode the change of a server: " + err.Error()})
			return
		}
		if err := n.Change(r.Context(), c); err != nil {
			Answer(w, http.StatusUnprocessableEntity, Failure{err.Error()})
			return
		}
		Answer(w, http.StatusOK, struct{}{})
	})
	return mux
}

// ask answers with what of returns.
func ask[T any](of func(context.Context) (*T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := of(r.Context())
		if err != nil {
			Answer(w, http.StatusServiceUnavailable, Failure{err.Error()})
			return
		}
		Answer(w, http.StatusOK, v)
	}
}

// Answer writes body in JSON.
func Answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// The client may have gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(body)
}
