// Package side starts proxies before a server, side by side on the loopback, for
// benches that compare them: each afresh for every measurement, and on one thread.
package side

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startWithin = 10 * time.Second
	stopWithin  = 5 * time.Second
)

// A System is a proxy to compare.
type System struct {
	Name    string
	Network string // of its listener: "tcp" or "udp"
	Config  string // with LISTEN and BACKEND for the addresses, and DIR for a folder
	Args    func(config string) []string

	// Worker returns the process that the traffic goes through, when pid was started
	// in the folder dir.
	Worker func(dir string, pid int) (int, error)
}

// Itself is the Worker of a system that is one process.
func Itself(_ string, pid int) (int, error) { return pid, nil }

// Child is the Worker of a system whose process has one child.
func Child(_ string, pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, fmt.Errorf("look for the worker: %w", err)
	}
	children := strings.Fields(string(text))
	if len(children) != 1 {
		return 0, fmt.Errorf("process %d has children %v: want one worker", pid, children)
	}
	return strconv.Atoi(children[0])
}

// Tandem returns the Worker of Tandem, whose admin socket is admin.sock in its folder.
func Tandem(binary string) func(dir string, pid int) (int, error) {
	return func(dir string, _ int) (int, error) {
		out, err := exec.Command(binary, "status", "--json", "--socket", filepath.Join(dir, "admin.sock")).Output()
		if err != nil {
			return 0, fmt.Errorf("ask tandem for its status: %w", err)
		}
		return parseWorker(out)
	}
}

// parseWorker returns the worker's process id in the output of tandem status.
func parseWorker(status []byte) (int, error) {
	var s struct {
		Worker struct {
			PID int `json:"pid"`
		} `json:"worker"`
	}
	if err := json.Unmarshal(status, &s); err != nil {
		return 0, fmt.Errorf("parse tandem's status: %w", err)
	}
	if s.Worker.PID == 0 {
		return 0, errors.New("tandem has no worker")
	}
	return s.Worker.PID, nil
}

// An Instance is a system that runs.
type Instance struct {
	Listen string // address and port
	Worker int    // process that the traffic goes through

	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// Begin starts the system before the server at backend, and waits until visit, which
// asks that server by way of the address, succeeds. Stop must follow.
func (s System) Begin(backend string, visit func(address string) error) (i *Instance, err error) {
	i = &Instance{done: make(chan struct{})}
	if i.Listen, err = FreePort(s.Network); err != nil {
		return nil, err
	}
	if i.dir, err = os.MkdirTemp("", "bench-"+s.Name+"-"); err != nil {
		return nil, fmt.Errorf("make a folder for %s: %w", s.Name, err)
	}
	config := filepath.Join(i.dir, "config")
	text := strings.NewReplacer("LISTEN", i.Listen, "BACKEND", backend, "DIR", i.dir).Replace(s.Config)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("write config: %w", err), os.RemoveAll(i.dir))
	}
	var log bytes.Buffer
	args := s.Args(config)
	i.cmd = exec.Command(args[0], args[1:]...)
	// What tandem keeps beyond its end is not to lie in the folder of a node of this host.
	i.cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "STATE_DIRECTORY="+filepath.Join(i.dir, "state"))
	i.cmd.Stdout, i.cmd.Stderr = &log, &log
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := i.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", s.Name, err), os.RemoveAll(i.dir))
	}
	go func() {
		_ = i.cmd.Wait() // how it ended says nothing: it is ended from here
		close(i.done)
	}()
	if err := i.ready(visit); err != nil {
		err = errors.Join(err, i.Stop()) // then nobody writes the log
		return nil, fmt.Errorf("%s carries nothing: %w: %s", s.Name, err, log.String())
	}
	if i.Worker, err = s.Worker(i.dir, i.cmd.Process.Pid); err != nil {
		return nil, errors.Join(err, i.Stop())
	}
	return i, nil
}

func (i *Instance) ready(visit func(address string) error) error {
	for end := time.Now().Add(startWithin); ; {
		err := visit(i.Listen)
		if err == nil {
			return nil
		}
		select {
		case <-i.done:
			return fmt.Errorf("it ended at once: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// Stop ends the instance, and removes what it leaves.
func (i *Instance) Stop() error {
	_ = i.cmd.Process.Signal(syscall.SIGTERM) // or it has ended
	select {
	case <-i.done:
	case <-time.After(stopWithin):
		_ = syscall.Kill(-i.cmd.Process.Pid, syscall.SIGKILL) // its group
		<-i.done
	}
	return os.RemoveAll(i.dir)
}

// FreePort returns a loopback address that nobody listens on. It may be taken until it
// is used, but nobody is expected to.
func FreePort(network string) (string, error) {
	if network == "udp" {
		c, err := net.ListenPacket(network, "127.0.0.1:0")
		if err != nil {
			return "", fmt.Errorf("find a free port: %w", err)
		}
		return c.LocalAddr().String(), c.Close()
	}
	l, err := net.Listen(network, "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// Beside starts another process for as long as the bench runs, out of reach of the
// terminal's Ctrl-C.
func Beside(cmd *exec.Cmd) (end func(), err error) {
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // or it has ended
		_ = cmd.Wait()                          // it was ended
	}, nil
}

// Behind starts this program anew, with -backend and f as its descriptor 3, as the server
// behind the proxies, so that its time is not that of the load. f stays the caller's.
func Behind(f *os.File) (pid int, end func(), err error) {
	cmd := exec.Command("/proc/self/exe", "-backend")
	cmd.ExtraFiles = []*os.File{f}
	if end, err = Beside(cmd); err != nil {
		return 0, nil, fmt.Errorf("start the server behind the proxies: %w", err)
	}
	return cmd.Process.Pid, end, nil
}

// Backend starts this program anew, as Behind does, with a TCP listener on the loopback.
func Backend() (address string, pid int, end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", 0, nil, fmt.Errorf("listen for the backend: %w", err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return "", 0, nil, fmt.Errorf("hand over the backend's listener: %w", err)
	}
	defer f.Close()
	pid, end, err = Behind(f)
	return l.Addr().String(), pid, end, err
}

// Serve passes the connections of l to serve, each on a goroutine of its own and closed
// behind it, until ctx is done, and waits for them.
func Serve(ctx context.Context, l net.Listener, serve func(net.Conn)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		wg.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			serve(c)
		})
	}
}
