package console

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/browser"
	"github.com/tandemlb/tandem/internal/metrics"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/vrrp"
)

// evil is a name that would do harm as markup.
const evil = `<img src=x onerror="document.title='harmed'"><script>document.title='harmed'</script>"'&amp;`

// sceneNode is a node of a pair with traffic, whose servers can be changed.
type sceneNode struct {
	admin.Node
	began time.Time

	mu     sync.Mutex
	states map[string]string // of servers, by name
	server string            // the name of one of them
	drift  bool
}

// Counts counts a hundred requests a second of 2 to 4 ms.
func (n *sceneNode) Counts(context.Context) metrics.Counts {
	passed := uint64(time.Since(n.began).Milliseconds())
	var times stats.Histogram
	for i := range passed / 10 {
		times.Observe(2*time.Millisecond + time.Duration(i%100)*20*time.Microsecond)
	}
	return metrics.Counts{Fresh: true, Traffic: stats.Snapshot{Pages: []stats.PageCounts{{
		Key: stats.Key{Listener: "web", Pool: "web"}, Protocol: "http", Begun: passed / 10, Total: times.Distribution(),
	}}}}
}

func newSceneNode() *sceneNode {
	return &sceneNode{began: time.Now(), states: map[string]string{}, server: "web-2"}
}

func (n *sceneNode) Change(_ context.Context, c admin.ServerChange) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.Server != n.server {
		return fmt.Errorf("pool %q has no server %q", c.Pool, c.Server)
	}
	n.states[c.Server] = c.Verb
	return nil
}

func (n *sceneNode) set(change func(n *sceneNode)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}

func (n *sceneNode) state(server string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.states[server]
}

func (n *sceneNode) Explain(context.Context) (*admin.Explanation, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	var servers []admin.Server
	for i, name := range []string{"web-1", n.server} {
		state := n.states[name]
		if state == "" {
			state = "ready"
		}
		servers = append(servers, admin.Server{
			Name: name, Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 21 + byte(i)}), 8080), Checked: true, Health: "up", Since: n.began,
			Served: uint64(now.Sub(n.began).Milliseconds() / 20), Share: admin.Share{State: state, Weight: 1},
		})
	}
	s := admin.Status{
		Node: "lb1", Version: "test", Started: n.began, Fit: true, Servers: 2, Reachable: 2,
		Config: admin.Config{Path: "/etc/tandem/tandem.yaml", Hash: "0123456789ab", Loaded: n.began},
		Agent:  &admin.Process{PID: 2, Realtime: "yes"}, Worker: admin.Process{PID: 3},
		VIPs: []admin.VIP{{
			Name: "main", VIP: "main", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")}, Interface: "eth0", RouterID: 51,
			Role: vrrp.Active, Since: n.began, Reason: "no advertisement from the Active router for 322ms", Holds: true, Base: 200, Priority: 200,
		}},
		Peers: []admin.Peer{{
			Name: "lb2", Address: netip.MustParseAddr("192.0.2.12"), Alive: true, Since: n.began, Fit: true, Hash: "0123456789ab", Drift: n.drift,
			Roles: map[string]vrrp.Role{"main": vrrp.Backup}, Priorities: map[string]uint8{"main": 150}, Servers: 2, Reachable: 2,
		}},
		Listeners: []admin.Listener{{Name: "web", Protocol: "http", Bind: []string{":80"}, Pool: "web", Requests: uint64(now.Sub(n.began).Milliseconds() / 10)}},
		Pools:     []admin.Pool{{Name: "web", Servers: servers}},
	}
	return &admin.Explanation{At: now, Status: s, History: []admin.Event{
		{At: n.began, Kind: admin.RoleEvent, Subject: "main", What: "init -> backup: started", Evidence: "priority 200"},
		{At: n.began, Kind: admin.ServerEvent, Subject: "web/" + n.server, What: n.server},
	}}, nil
}

// visit opens the page of a node, and returns its URL as well.
func visit(t *testing.T, n Node, o Options) (*browser.Tab, string) {
	t.Helper()
	tab := browser.Open(t)
	o.Node = n
	url := run(t, open(t, o))
	tab.Size(1280, 900)
	tab.Go(url + "/")
	return tab, url
}

// quiet holds that nothing was complained of, and that nothing left the node.
func quiet(t *testing.T, tab *browser.Tab, url string, allowed ...string) {
	t.Helper()
	for _, s := range tab.Said() {
		if !slices.ContainsFunc(allowed, func(a string) bool { return strings.Contains(s, a) }) {
			t.Errorf("the console says: %s", s)
		}
	}
	for _, r := range tab.Requests() {
		if !strings.HasPrefix(r, url+"/") {
			t.Errorf("the page asked for %s", r)
		}
	}
}

func TestThePageShowsThePair(t *testing.T) {
	n := newSceneNode()
	tab, url := visit(t, n, Options{})
	tab.Wait(`document.querySelector("#headline")?.textContent === "All is well"`)
	for selector, wants := range map[string][]string{
		"#verdict":   {"lb1 is active for main; lb2 stands by."},
		"#pair":      {"lb1", "Active", "lb2", "Backup", "no advertisement from the Active router", "192.0.2.100/24", "fit"},
		"#pools":     {"web-1", "web-2", "2 of 2 take work", "admin.token_file"},
		"#listeners": {"web", ":80"},
		"#timeline":  {"init -> backup: started", "priority 200"},
		"#node":      {"/etc/tandem/tandem.yaml", "0123456789ab"},
	} {
		text := tab.Text(selector)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", selector, want, text)
			}
		}
	}
	tab.Wait(`document.querySelector("#link").dataset.state === "live"`)
	// The chart moves, and what it says is what was counted: a hundred a second.
	tab.Wait(`Math.abs(Number(document.querySelector("#chart-requests-requests").textContent) - 100) < 30`)
	before := browser.Eval[string](tab, `document.querySelector("path.series.requests").getAttribute("d")`)
	tab.Wait(fmt.Sprintf(`document.querySelector("path.series.requests").getAttribute("d") !== %q`, before))
	if p50 := tab.Text("#chart-latency-p50"); !strings.HasSuffix(p50, "ms") {
		t.Errorf("half of the requests take %q", p50)
	}
	// What changes at the node changes on the page.
	n.set(func(n *sceneNode) { n.drift = true })
	tab.Wait(`document.querySelector("#headline").textContent === "One thing to look at"`)
	tab.Wait(`document.title.startsWith("One thing to look at")`)
	if buttons := browser.Eval[int](tab, `document.querySelectorAll("button[data-verb]").length`); buttons != 0 {
		t.Errorf("%d buttons where nothing can be changed", buttons)
	}
	quiet(t, tab, url)
}

func TestAServerIsDrainedFromThePage(t *testing.T) {
	n := newSceneNode()
	tab, url := visit(t, n, Options{TokenFile: tokenFile(t)})
	// Without the token nothing is shown; a wrong one is told to be wrong.
	tab.Wait(`!document.querySelector("#ask").hidden && document.querySelector("#status").hidden`)
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the console says %q", said)
	}
	tab.Type("#token", "wrong\r")
	tab.Wait(`document.querySelector("#ask-error").textContent.includes("not the one")`)
	tab.Type("#token", token+"\r")
	tab.Wait(`document.querySelector("#headline")?.textContent === "All is well"`)

	tab.Click(`button[data-server="web-2"][data-verb="drain"]`)
	tab.Wait(`document.querySelector("#confirm").open`)
	if text := tab.Text("#confirm"); !strings.Contains(text, "Drain web-2?") || !strings.Contains(text, "on lb1 alone") {
		t.Errorf("the question: %s", text)
	}
	tab.Click("#confirm-no")
	tab.Wait(`!document.querySelector("#confirm").open`)
	if state := n.state("web-2"); state != "" {
		t.Errorf("after Cancel it is in %s", state)
	}
	tab.Click(`button[data-server="web-2"][data-verb="drain"]`)
	tab.Click("#confirm-yes")
	tab.Wait(`document.querySelector('button[data-server="web-2"][data-verb="drain"]').getAttribute("aria-pressed") === "true"`)
	if state := n.state("web-2"); state != "drain" {
		t.Errorf("it is in %q, want drain", state)
	}
	tab.Wait(`document.querySelector("#verdict").textContent.includes("web-2 is in drain")`)

	// The node's own words for what it refuses are on the page, and nothing is changed
	// once the token is not good any more.
	tab.Eval(`sessionStorage.setItem("tandem-token", "stolen")`)
	tab.Click(`button[data-server="web-2"][data-verb="ready"]`)
	tab.Click("#confirm-yes")
	tab.Wait(`document.querySelector("#confirm-error").textContent.includes("the token is not the one")`)
	if state := n.state("web-2"); state != "drain" {
		t.Errorf("with a wrong token it was changed to %q", state)
	}
	quiet(t, tab, url, "401 (Unauthorized)")
	if stored := browser.Eval[int](tab, `localStorage.length + document.cookie.length`); stored != 0 {
		t.Error("something outlives the tab")
	}
}

func TestWhatANodeSaysIsNeverMarkup(t *testing.T) {
	n := newSceneNode()
	n.server = evil
	tab, url := visit(t, n, Options{TokenFile: tokenFile(t)})
	tab.Type("#token", token+"\r")
	tab.Wait(`document.querySelector("#pools").textContent.includes("<img src=x")`)
	tab.Eval(`document.querySelectorAll('button[data-verb="maint"]')[1].click()`)
	tab.Wait(`document.querySelector("#confirm").open`)
	tab.Click("#confirm-yes")
	tab.Wait(`!document.querySelector("#confirm").open`)
	if got := n.state(evil); got != "maint" {
		t.Errorf("the server is in %q, want maint", got)
	}
	tab.Wait(`document.querySelector("#verdict").textContent.includes("is in maint")`)
	if found := browser.Eval[int](tab, `document.querySelectorAll("img, main script, [onerror]").length`); found != 0 {
		t.Errorf("%d elements came of a name", found)
	}
	if title := browser.Eval[string](tab, "document.title"); strings.Contains(title, "harmed") {
		t.Errorf("title %q", title)
	}
	quiet(t, tab, url)
}

func TestThePageSaysWhenItHearsNothing(t *testing.T) {
	tab := browser.Open(t)
	c := open(t, Options{Node: newSceneNode()})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	tab.Go("http://" + c.Addr().String() + "/")
	tab.Wait(`document.querySelector("#headline")?.textContent === "All is well"`)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	tab.Wait(`/No word from lb1 for \d+ s/.test(document.querySelector("#lost").innerText) && document.body.classList.contains("is-lost")`)
	if text := tab.Text("#lost"); !strings.Contains(text, "lb2") || !strings.Contains(text, "says nothing of the VIP") {
		t.Errorf("it does not point to the other node: %s", text)
	}
	if title := browser.Eval[string](tab, "document.title"); !strings.HasPrefix(title, "Lost") {
		t.Errorf("title %q", title)
	}
	// It comes back by itself.
	o := c.o
	o.Listen = netip.MustParseAddrPort(c.Addr().String())
	again, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	run(t, again)
	tab.Wait(`document.querySelector("#lost").hidden && document.querySelector("#link").dataset.state === "live"`)
}

// TestThePageFits holds it to the widths of phones and desktops, with names that are
// as long as names get, and takes pictures of it for whoever asks by TANDEM_PICTURES.
func TestThePageFits(t *testing.T) {
	n := newSceneNode()
	n.server = strings.Repeat("long-", 12) + "name"
	tab, url := visit(t, n, Options{TokenFile: tokenFile(t)})
	tab.Type("#token", token+"\r")
	tab.Wait(`document.querySelector("#pools").textContent.includes("long-")`)
	for _, width := range []int64{320, 390, 600, 800, 1024, 1280, 1920} {
		tab.Size(width, 844)
		tab.Wait(fmt.Sprintf("innerWidth === %d", width))
		if wide := browser.Eval[int64](tab, "document.documentElement.scrollWidth"); wide > width {
			t.Errorf("at %d pixels the page is %d wide", width, wide)
		}
	}
	for _, scheme := range []string{"light", "dark"} {
		tab.Prefer("prefers-color-scheme", scheme)
		for _, bad := range browser.Eval[[]string](tab, contrasts) {
			t.Errorf("%s: %s", scheme, bad)
		}
		if dir := os.Getenv("TANDEM_PICTURES"); dir != "" {
			tab.Picture(dir + "/page-" + scheme + ".png")
		}
	}
	tab.Prefer("prefers-reduced-motion", "reduce")
	if moving := browser.Eval[int](tab, "document.getAnimations().length"); moving != 0 {
		t.Errorf("%d things move for who wants them not to", moving)
	}
	quiet(t, tab, url)
}

// contrasts lists texts whose contrast with what is behind them is below 4.5 to 1
// (WCAG 2.2, 1.4.3).
const contrasts = `(() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1 }; };
  const light = ({ r, g, b }) => { const f = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c; } return { r: 255, g: 255, b: 255 }; };
  const bad = new Set();
  for (const e of document.querySelectorAll("main *, header *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility() || e.closest("svg")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.add(e.className + ": " + ratio.toFixed(2) + " of " + e.textContent.slice(0, 30));
  }
  return [...bad];
})()`
