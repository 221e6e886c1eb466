package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/browser"
)

// page returns the URL of the node's status page for a browser outside of the node.
func (n *node) page() string {
	n.t.Helper()
	inside := &url.URL{Scheme: "http", Host: "127.0.0.1:8404"}
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(inside)
			r.Out.Host = r.In.Host
		},
		Transport:     &http.Transport{DialContext: n.host.DialContext},
		FlushInterval: -1, // what is followed comes at once
	})
	n.t.Cleanup(s.Close)
	n.t.Cleanup(s.CloseClientConnections)
	return s.URL + "/"
}

// On the page of either node both are seen, and why each has its role, before and after
// one of them has died.
func TestStatusPageOfAPair(t *testing.T) {
	p := startPair(t, quickConfig()+"admin: {listen: 127.0.0.1:8404}\n")
	tab := browser.Open(t)
	says := func(selector, text string) {
		t.Helper()
		tab.Wait(fmt.Sprintf(`document.querySelector(%q)?.innerText.includes(%q)`, selector, text))
	}
	tab.Go(p.lb1.page())
	says("#headline", "All is well")
	says("#verdict", "lb1 is active for main; lb2 stands by.")
	says(`[data-key="own"] .badge`, "Active")
	says(`[data-key="peer-lb2"] .badge`, "Backup")
	says(`[data-key="vip-main"]`, vipPrefix().String())
	tab.Click("#whole")
	says("#timeline", "backup -> active")

	tab.Go(p.lb2.page())
	says("#headline", "All is well")
	says(`[data-key="own"] .badge`, "Backup")
	says(`[data-key="own"]`, "of silence") // after which it takes over
	tab.Click("#whole")
	says(`[data-key="peer-lb1"] .badge`, "Active")

	if err := lab.Kill(p.lb1.proc); err != nil {
		t.Fatal(err)
	}
	says("#verdict", "lb2 is active for main.")
	says(`[data-key="own"] .badge`, "Active")
	says(`[data-key="own"]`, "the process of the Active router 10.77.0.1 died")
	says(`[data-key="peer-lb1"] .badge`, "Silent")
	says(`[data-key="peer-lb1"]`, "Silent on both channels")
	says(`[data-key="tie"]`, "silent")
	if headline := tab.Text("#headline"); headline == "All is well" {
		t.Error("half of the pair is dead, and all is well")
	}

	t.Log("# it comes back: nothing of its death is left but in the timeline")
	p.lb1.start()
	p.settle()
	says("#headline", "All is well")
	says("#verdict", "lb1 is active for main; lb2 stands by.")
	says("#timeline", "active -> backup")
	for _, said := range tab.Said() {
		if !strings.Contains(said, "net::ERR") {
			t.Errorf("the console says %q", said)
		}
	}
}
