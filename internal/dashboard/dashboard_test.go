package dashboard

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

var (
	now  = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	self = netip.MustParsePrefix("192.0.2.100/24")
)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// said returns what a node says of a busy day, at a time at which it has answered so
// many requests.
func said(at time.Time, requests uint64) *admin.Explanation {
	return &admin.Explanation{
		At: at,
		Status: admin.Status{
			Node: "lb1", Version: "1.0.0", Started: ago(3 * time.Hour), Fit: true, Config: admin.Config{Hash: "0123456789ab"},
			Agent: &admin.Process{PID: 2}, Worker: admin.Process{PID: 3},
			VIPs: []admin.VIP{
				{Name: "main", Addresses: []netip.Prefix{self}, Role: vrrp.Active, Since: ago(2 * time.Second), Reason: "no advertisement for 361ms", Priority: 200},
				{Name: "other", Addresses: []netip.Prefix{self}, Role: vrrp.Backup, Since: ago(3 * time.Hour), Priority: 100,
					Active: netip.MustParseAddr("192.0.2.12"), ActivePrio: 200},
			},
			Peers: []admin.Peer{{Name: "lb2", Hash: "0123456789ab", Alive: true, Since: ago(time.Hour), Fit: true,
				Roles: map[string]vrrp.Role{"main": vrrp.Backup, "other": vrrp.Active}}},
			Listeners: []admin.Listener{
				{Name: "web", Protocol: "http", Bind: []string{":80"}, Connections: 12, Requests: requests, Failed: requests / 100, Refused: map[string]uint64{"host_missing": 7}},
				{Name: "dns", Protocol: "udp", Bind: []string{":53"}, In: admin.Datagrams{Count: requests / 50}},
			},
			Pools: []admin.Pool{{Name: "web", Active: 3, Servers: []admin.Server{
				{Name: "a", Health: "up", Since: ago(time.Hour), Served: requests / 4},
				{Name: "b", Health: "up", Since: ago(time.Hour), Served: requests / 2, Share: admin.Share{State: "ready"}},
				{Name: "c", Health: "down", Since: ago(90 * time.Second), Failed: 3, Reason: "connection\x1b[2J refused"},
				{Name: "d", Health: "up", Since: ago(time.Hour), Share: admin.Share{State: "drain"}},
			}}},
		},
		History: []admin.Event{
			{At: ago(time.Hour), Kind: admin.NodeEvent, What: "starts"},
			{At: ago(2 * time.Second), Kind: admin.RoleEvent, Subject: "main", What: "backup -> active", Evidence: "priority 200"},
		},
	}
}

func TestFrame(t *testing.T) {
	busy := View{Newest: said(now, 10_000), Before: said(ago(2*time.Second), 8_000), Clock: now}
	for name, tc := range map[string]struct {
		view View
		size Size
		want string
	}{
		"all of it": {busy, Size{}, `
lb1  fit  up 3h00m, config 0123456789ab, version 1.0.0, 15:04:05

vip main   ACTIVE  for 2s     192.0.2.100/24  priority 200  no advertisement for 361ms
vip other  BACKUP  for 3h00m  192.0.2.100/24  priority 100  192.0.2.12 is active, with priority 200

peer lb2  alive  for 1h00m  fit  main backup, other active  same config

listener web  http  :80  12 open  1000 requests/s  10 failed/s  0 refused/s
listener dns  udp   :53  0 open   20 datagrams/s   0 failed/s   0 refused/s

pool web  2 of 4 servers  3 in progress  0 waiting  0 retries/s

server web/c  DOWN  for 1m30s  0 active  0 served/s    0 failed/s  connection [2J refused
server web/d  UP    for 1h00m  0 active  0 served/s    0 failed/s  DRAINED
server web/b  UP    for 1h00m  0 active  500 served/s  0 failed/s
server web/a  UP    for 1h00m  0 active  250 served/s  0 failed/s

last events
2s ago       role main  backup -> active (priority 200)
1h00m ago    node       starts
`},
		"a small terminal": {busy, Size{Width: 40, Height: 19}, `
lb1  fit  up 3h00m, config 0123456789ab…

vip main   ACTIVE  for 2s     192.0.2.1…
vip other  BACKUP  for 3h00m  192.0.2.1…

peer lb2  alive  for 1h00m  fit  main b…

listener web  http  :80  12 open  1000 …
listener dns  udp   :53  0 open   20 da…

pool web  2 of 4 servers  3 in progress…

server web/c  DOWN  for 1m30s  0 active…
server web/d  UP    for 1h00m  0 active…
… and 2 more

last events
2s ago       role main  backup -> activ…
1h00m ago    node       starts
`},
		"nothing yet": {View{Clock: now}, Size{}, `
NO ANSWER  waiting for the node
15:04:05
`},
		"never answered": {View{Clock: now, Failure: errors.New("connection refused"), Lost: now}, Size{}, `
NO ANSWER  connection refused
15:04:05
`},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(Frame(tc.view, tc.size), "\n")
			if diff := cmp.Diff(strings.Trim(tc.want, "\n"), got); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		})
	}
}

// shows returns the frame as one text.
func shows(v View, size Size) string { return strings.Join(Frame(v, size), "\n") }

func TestWhatIsWrongIsShown(t *testing.T) {
	for name, tc := range map[string]struct {
		wrong func(*View)
		want  string
	}{
		"no answer any more": {func(v *View) { v.Failure, v.Lost = errors.New("connection refused"), ago(4*time.Second) },
			"NO ANSWER  for 4s, this is what it said last: connection refused"},
		"not fit":        {func(v *View) { v.Newest.Status.Fit, v.Newest.Status.Unfit = false, "no worker" }, "because  no worker"},
		"refused":        {func(v *View) { v.Newest.Status.Config.Refused = "x:1:1: bad\n  1 | x" }, "REFUSED  the newest config, the old one runs: x:1:1: bad\n"},
		"alone":          {func(v *View) { v.Newest.Status.Cluster = "bind" }, "ALONE  not a member of the cluster: bind"},
		"no agent":       {func(v *View) { v.Newest.Status.Agent = &admin.Process{Error: "killed"} }, "NO AGENT  killed"},
		"no worker":      {func(v *View) { v.Newest.Status.Worker = admin.Process{Error: "killed"} }, "NO WORKER  killed"},
		"overload":       {func(v *View) { v.Newest.Status.Overload.Reason = "memory" }, "OVERLOAD  new work is turned away: memory"},
		"panics":         {func(v *View) { v.Newest.Status.Panics = 2 }, "PANICS  2, each is a bug"},
		"a VIP's error":  {func(v *View) { v.Newest.Status.VIPs[0].Error = "link down" }, "ERROR: link down"},
		"a conflict":     {func(v *View) { v.Newest.Status.VIPs[0].Conflict = &admin.AddressClaim{MAC: "02:00", At: now} }, "ALARM: 02:00 answers for"},
		"flapping":       {func(v *View) { v.Newest.Status.VIPs[0].Flapping = 4 }, "ALARM: flapping, 4 changes of late"},
		"lowered":        {func(v *View) { v.Newest.Status.VIPs[0].Lowered = &admin.Lowered{Reason: "eth1"} }, "lowered from 0: eth1"},
		"a silent peer":  {func(v *View) { v.Newest.Status.Peers[0].Alive = false }, "SILENT  for 1h00m  -  main was backup, other was active"},
		"a peer unheard": {func(v *View) { v.Newest.Status.Peers[0].Hash = "" }, "not heard yet"},
		"a cut": {func(v *View) {
			v.Newest.Status.Peers[0].Verdict, v.Newest.Status.Peers[0].Explained = "cut", "both lead"
		}, "CUT: both lead"},
		"an unfit peer":   {func(v *View) { v.Newest.Status.Peers[0].Unfit = "starting" }, "starting"},
		"drift":           {func(v *View) { v.Newest.Status.Peers[0].Drift = true }, "CONFIG DRIFT: it runs 0123456789ab"},
		"an open breaker": {func(v *View) { v.Newest.Status.Pools[0].Breaker.State = "open" }, "BREAKER OPEN"},
		"one of a server": {func(v *View) { v.Newest.Status.Pools[0].Servers[0].Breaker.State = "open" }, "BREAKER OPEN"},
		"maintenance":     {func(v *View) { v.Newest.Status.Pools[0].Servers[0].Share.State = "maint" }, "IN MAINTENANCE"},
		"a backup":        {func(v *View) { v.Newest.Status.Pools[0].Servers[0].Share.Backup = true }, "  backup"},
		"an ejected server": {func(v *View) {
			v.Newest.Status.Pools[0].Servers[0].Ejected = admin.Ejection{Until: now.Add(9 * time.Second), Reason: "5 failed"}
		}, "EJECTED for another 9s: 5 failed"},
		"demoted": {func(v *View) { v.Newest.Status.Demoted = true }, "DEMOTED"},
	} {
		v := View{Newest: said(now, 10), Clock: now}
		tc.wrong(&v)
		if got := shows(v, Size{}); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q is missing in\n%s", name, tc.want, got)
		}
	}
}

func TestRates(t *testing.T) {
	newest := said(now, 1000)
	for name, tc := range map[string]struct {
		before func(*admin.Explanation) *admin.Explanation
		want   string
	}{
		"the first answer":       {func(*admin.Explanation) *admin.Explanation { return nil }, " - requests/s"},
		"few":                    {func(e *admin.Explanation) *admin.Explanation { e.Status.Listeners[0].Requests = 999; return e }, " 0.5 requests/s"},
		"many":                   {func(e *admin.Explanation) *admin.Explanation { return e }, " 450 requests/s"},
		"another worker":         {func(e *admin.Explanation) *admin.Explanation { e.Status.Worker.PID = 7; return e }, " - requests/s"},
		"a new listener":         {func(e *admin.Explanation) *admin.Explanation { e.Status.Listeners = nil; return e }, " - requests/s"},
		"less than before":       {func(e *admin.Explanation) *admin.Explanation { e.Status.Listeners[0].Requests = 2000; return e }, " - requests/s"},
		"a clock that went back": {func(e *admin.Explanation) *admin.Explanation { e.At = now.Add(time.Hour); return e }, " - requests/s"},
	} {
		v := View{Newest: newest, Before: tc.before(said(ago(2*time.Second), 100)), Clock: now}
		if got := shows(v, Size{}); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q is missing in\n%s", name, tc.want, got)
		}
	}
}

func TestWhatHasChangedStandsOut(t *testing.T) {
	v := View{Newest: said(now, 10), Clock: now}
	got := shows(v, Size{Styled: true})
	for _, want := range []string{good.sgr() + sgrReverse + "ACTIVE" + sgrOff, sgrReverse + "2s ago" + sgrOff, alarm.sgr() + "DOWN" + sgrOff} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	v.Newest.At = now.Add(10 * time.Second)
	if got := shows(v, Size{Styled: true}); strings.Contains(got, sgrReverse) {
		t.Errorf("after a while something is new still: %q", got)
	}
	if got := shows(v, Size{}); strings.Contains(got, "\x1b") {
		t.Errorf("styled, though nobody asked for it: %q", got)
	}
}

// Whatever there is, and however small the terminal: no line is too long, and none too
// many.
func TestFrameFits(t *testing.T) {
	v := View{Newest: said(now, 10), Clock: now}
	for i := range 150 {
		v.Newest.Status.Pools[0].Servers = append(v.Newest.Status.Pools[0].Servers, admin.Server{Name: fmt.Sprint(i), Health: "up"})
		v.Newest.Status.Listeners = append(v.Newest.Status.Listeners, admin.Listener{Name: fmt.Sprint(i), Protocol: "tcp"})
		v.Newest.History = append(v.Newest.History, admin.Event{At: now, What: strings.Repeat("ä", i)})
	}
	for width := 1; width < 150; width += 29 {
		for height := 1; height < 100; height += 7 {
			lines := Frame(v, Size{Width: width, Height: height})
			if len(lines) > height {
				t.Fatalf("%d lines in %d", len(lines), height)
			}
			if height > 30 && len(lines) < height {
				t.Errorf("only %d lines in %d", len(lines), height)
			}
			for _, l := range lines {
				if n := utf8.RuneCountInString(l); n > width {
					t.Fatalf("%d characters in %d: %s", n, width, l)
				}
			}
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 25*time.Hour + 5*time.Minute: "25h05m", 80 * time.Hour: "3d",
	} {
		if got := age(now, ago(d)); got != want {
			t.Errorf("%v ago: %q, want %q", d, got, want)
		}
	}
	if got := age(now, time.Time{}); got != "-" {
		t.Errorf("never: %q", got)
	}
}
