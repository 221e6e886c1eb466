package doctor

import (
	"fmt"
	"strings"
)

// filtered is what rules of a packet filter seem to do with what nodes say to each
// other. Rules can say anything in many ways: it is a hint, not a proof.
type filtered struct {
	closed   bool // what is not let in is dropped
	vrrp     bool // a rule lets VRRP in
	dropped  bool // a rule drops VRRP
	ports    bool // a rule lets the port of gossip in
	peersAll bool // a rule lets everything of a peer in
}

// filterOf reads rules as nft or iptables-save prints them.
func filterOf(rules string, port uint16, peers []Peer) filtered {
	var f filtered
	input := false // within a chain of what comes in
	for line := range strings.Lines(rules) {
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n;,{}", r) })
		if len(words) == 0 {
			continue
		}
		text := " " + strings.Join(words, " ") + " "
		switch {
		case words[0] == "chain":
			input = false
		case strings.Contains(text, " hook input "):
			input = true
			f.closed = f.closed || strings.Contains(text, " policy drop ")
		case strings.HasPrefix(line, ":INPUT DROP"), strings.HasPrefix(line, "-P INPUT DROP"):
			f.closed = true
		case input && (text == " drop " || text == " reject " || strings.HasPrefix(text, " counter packets ") && len(words) == 6 && (words[5] == "drop" || words[5] == "reject")):
			f.closed = true
		case text == " -A INPUT -j DROP " || strings.HasPrefix(text, " -A INPUT -j REJECT "):
			f.closed = true
		}
		lets, drops := verdict(text)
		if speaksVRRP(text) {
			f.vrrp, f.dropped = f.vrrp || lets, f.dropped || drops && !strings.Contains(text, " output ")
		}
		f.ports = f.ports || lets && strings.Contains(text, fmt.Sprintf(" %d ", port))
		for _, p := range peers {
			f.peersAll = f.peersAll || lets && strings.Contains(text, "saddr "+p.Address.String()+" ") && !strings.Contains(text, "port ")
		}
	}
	return f
}

// verdict reports what a rule does with what it is for.
func verdict(text string) (lets, drops bool) {
	for _, word := range []string{" accept ", " -j ACCEPT "} {
		lets = lets || strings.Contains(text, word)
	}
	for _, word := range []string{" drop ", " reject ", " -j DROP ", " -j REJECT "} {
		drops = drops || strings.Contains(text, word)
	}
	return lets, drops
}

// speaksVRRP reports whether a rule is for VRRP, by name or by number.
func speaksVRRP(text string) bool {
	for _, word := range []string{" vrrp ", " protocol 112 ", " l4proto 112 ", " nexthdr 112 ", " -p 112 "} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func (e *examination) firewall() {
	const check = "firewall"
	if len(e.VIPs) == 0 || e.Firewall.Tool == "" {
		return
	}
	f := filterOf(e.Firewall.Rules, e.Config.Port, e.Peers)
	fix := "nft insert rule inet filter input meta l4proto vrrp accept"
	if e.Firewall.Tool == "iptables" {
		fix = "iptables -I INPUT -p 112 -j ACCEPT"
	}
	switch {
	case f.dropped:
		e.fail(check, "a rule drops VRRP", "the nodes do not hear each other, and both become Active", "delete it: "+e.list()+" shows the rules")
	case f.closed && !f.vrrp && !f.peersAll:
		e.warn(check, "what is not let in is dropped, and no rule seems to let VRRP in", "the nodes would not hear each other, and both become Active", fix)
	}
	if e.Config.Port != 0 && f.closed && !f.ports && !f.peersAll {
		ports := fmt.Sprintf("%d-%d", e.Config.Port, e.Config.Port+1)
		fix := fmt.Sprintf("nft insert rule inet filter input tcp dport %s accept; the same for udp", ports)
		if e.Firewall.Tool == "iptables" {
			fix = fmt.Sprintf("iptables -I INPUT -p tcp --dport %s -j ACCEPT; the same for udp", strings.Replace(ports, "-", ":", 1))
		}
		e.warn(check, fmt.Sprintf("no rule seems to let in port %d", e.Config.Port), "gossip does not pass: a cut is not told from a death", fix)
	}
	if !e.found(check) {
		e.ok(check, "no rule is known to drop what the nodes say")
	}
}

func (e *examination) list() string {
	if e.Firewall.Tool == "iptables" {
		return "iptables-save"
	}
	return "nft -a list ruleset"
}
