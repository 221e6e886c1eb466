package admin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/vrrp"
)

type fakeNode struct {
	status      *Status
	explanation *Explanation
	refused     error
	reloads     int
	changes     []ServerChange
}

func (n *fakeNode) Status(context.Context) (*Status, error)       { return n.status, nil }
func (n *fakeNode) Explain(context.Context) (*Explanation, error) { return n.explanation, nil }
func (n *fakeNode) Reload(context.Context) error                  { n.reloads++; return n.refused }
func (n *fakeNode) Change(_ context.Context, c ServerChange) error {
	n.changes = append(n.changes, c)
	return n.refused
}

// serve runs the API of n and returns a client for it.
func serve(t *testing.T, n Node) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "run", "admin.sock")
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, l, Handler(n, nil), zap.NewNop()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return NewClient(socket)
}

func TestStatusArrivesWhole(t *testing.T) {
	want := &Status{Node: "lb1", Started: time.Unix(1, 2).UTC(), VIPs: []VIP{{Name: "main", Role: vrrp.Active}}}
	got, err := serve(t, &fakeNode{status: want}).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestExplanationArrivesWhole(t *testing.T) {
	want := &Explanation{
		At:      time.Unix(1, 2).UTC(),
		Status:  Status{Node: "lb1", VIPs: []VIP{{Name: "main", Activations: map[vrrp.NewActiveReason]uint64{vrrp.NoResponse: 2}}}},
		History: []Event{{At: time.Unix(3, 4).UTC(), Kind: RoleEvent, Subject: "main", What: "init -> backup: started"}},
	}
	got, err := serve(t, &fakeNode{explanation: want}).Explain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("explanation (-want +got):\n%s", diff)
	}
}

func TestRefusedReloadIsReportedInTheNodesWords(t *testing.T) {
	n := &fakeNode{refused: errors.New("tandem.yaml:1:1: unknown key")}
	err := serve(t, n).Reload(t.Context())
	if err == nil || err.Error() != n.refused.Error() {
		t.Errorf("got %v, want %v", err, n.refused)
	}
	if n.reloads != 1 {
		t.Errorf("%d reloads, want 1", n.reloads)
	}
}

func TestSocketIsClosedToOthers(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o660 {
		t.Errorf("mode %04o, want 0660", mode)
	}
}

// Whatever the process has for a umask, nobody else may write to the socket.
func TestSocketModeIsNotTheUmasks(t *testing.T) {
	for _, mask := range []int{0, 0o777} {
		path := filepath.Join(t.TempDir(), "admin.sock")
		old := unix.Umask(mask)
		l, err := Listen(path)
		unix.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		l.Close()
		if err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("umask %03o: %v, %v", mask, info.Mode(), err)
		}
	}
}

func TestSocketInTheFolderOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a folder of another user")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 1234, 1234); err != nil {
		t.Fatal(err)
	}
	for user, ok := range map[int]bool{0: true, 1234: true, 1235: false} {
		if err := ownFolder(dir, user); (err == nil) != ok {
			t.Errorf("user %d: %v", user, err)
		}
	}
	if err := ownFolder("/", 1235); err != nil {
		t.Errorf("a folder of root: %v", err)
	}
}

func TestListenReplacesOnlyADeadSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	live, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(socket); err == nil || !strings.Contains(err.Error(), "is tandem running already?") {
		t.Errorf("second listener: got %v", err)
	}
	live.(*net.UnixListener).SetUnlinkOnClose(false)
	live.Close()
	l, err := Listen(socket)
	if err != nil {
		t.Fatalf("left-over socket: %v", err)
	}
	l.Close()

	file := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("regular file: got %v", err)
	}
}

func TestAbsentNodeIsExplained(t *testing.T) {
	_, err := NewClient(filepath.Join(t.TempDir(), "none.sock")).Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is tandem running?") {
		t.Errorf("got %v", err)
	}
}
