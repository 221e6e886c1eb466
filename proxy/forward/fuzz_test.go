package forward

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

func seeds(f *testing.F) {
	for _, s := range []string{
		"", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: unknown, [2001:db8::1]:80, 10.0.0.8",
		"Forwarded: for=\"[2001:db8::1]:_p\";proto=https;host=\"a:1\", for=_x;by=10.0.0.1\nX-Forwarded-Proto: https",
		"Via: 1.1 tandem (a, b)\nX-Request-Id: x\nX-Forwarded-Host: a\nX-Forwarded-Port: 1\nx_real_ip: 1",
		"Forwarded: for=\"\\\"\";for=1.2.3.4", "X-Forwarded-Host: a\r\nX-Forwarded-For: \x00",
	} {
		f.Add(s)
	}
}

// fieldLines cuts text into field lines of any bytes but those which end one.
func fieldLines(text string) lines {
	text = strings.NewReplacer("\r", " ").Replace(text)
	var all lines
	for line := range strings.SplitSeq(text, "\n") {
		all = append(all, line)
	}
	return all
}

// FuzzUntrusted checks that an untrusted peer has no influence on who the client is
// and how its request was, whatever it sends.
func FuzzUntrusted(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		a := arrival("203.0.113.7")
		r, out := pass(t, trusting(), a, fieldLines(text))
		if r.Client() != a.Peer || r.HTTPS() {
			t.Errorf("client %s, https %v", r.Client(), r.HTTPS())
		}
		_, want := pass(t, trusting(), a, nil)
		own := strings.Join(out[len(out)-len(want):len(out)-1], "\n")
		if clean := strings.Join(want[:len(want)-1], "\n"); own != clean {
			t.Errorf("the peer's fields make\n%s\nof\n%s", own, clean)
		}
		for _, line := range out[:len(out)-len(want)] {
			name, _, _ := strings.Cut(line, ": ")
			if f, _ := classify([]byte(name), "x-request-id"); f != none && f != via {
				t.Errorf("%q of an untrusted peer passes", line)
			}
		}
	})
}

// FuzzTrusted checks that what a trusted peer says, and its clients through it,
// cannot break out of a field; that the fields mean the same to the next proxy of
// this kind; and that the two forms agree.
func FuzzTrusted(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		var r Request
		p := trusting()
		r.Begin(p, arrival("10.0.0.9"))
		for _, line := range strings.Split(text, "\n") { // with CR and NUL
			name, value, _ := strings.Cut(line, ": ")
			r.Take([]byte(name), []byte(value))
		}
		r.Finish(NewIDs([32]byte{}))
		out := r.Append(nil)
		body, ended := bytes.CutSuffix(out, []byte("\r\n"))
		if !ended {
			t.Fatalf("%q does not end a line", out)
		}
		own := lines{}
		for line := range strings.SplitSeq(string(body), "\r\n") {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("control character in %q", line)
			}
			if name, value, ok := strings.Cut(line, ": "); !ok || name == "" || value == "" {
				t.Errorf("%q is no field", line)
			}
			own = append(own, line)
		}

		if len(r.hops) == maxHops { // and one more for the next proxy, which cuts it
			return
		}
		// The next proxy trusts this one, and knows the same others.
		p.Trusted = append(p.Trusted, netip.MustParsePrefix("192.0.2.1/32"))
		for _, form := range [][]string{{"Forwarded"}, {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"}} {
			if len(r.lines[forwarded]) == 0 && form[0] != "Forwarded" {
				continue
			}
			next, _ := pass(t, p, arrival("192.0.2.1"), own.without(form...))
			if next.Client() != r.Client() || next.HTTPS() != r.HTTPS() || string(next.ID()) != string(r.ID()) {
				t.Errorf("without %s the next proxy sees client %s (https %v) for %s (https %v) in\n%s", form[0], next.Client(), next.HTTPS(), r.Client(), r.HTTPS(), out)
			}
			if string(next.host) != string(r.host) && r.host != nil {
				t.Errorf("without %s the next proxy sees host %q for %q", form[0], next.host, r.host)
			}
		}
	})
}

// FuzzNode checks the parser of addresses against netip, and that what it accepts
// can be written and read again.
func FuzzNode(f *testing.F) {
	for _, s := range []string{"203.0.113.7", "01.2.3.4", "1.2.3.4:80", "[::1]:80", "::1", "unknown", "_x", "1.2.3", "[::ffff:1.2.3.4]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want, err := netip.ParseAddr(string(b))
		if got, ok := parseIPv4(b); ok != (err == nil && want.Is4()) || ok && got != want {
			t.Errorf("parseIPv4(%q) = %s, %v; netip: %s, %v", b, got, ok, want, err)
		}
		h, ok := parseNode(b)
		if !ok {
			return
		}
		for _, text := range [][]byte{appendNode(nil, h), bytes.Trim(appendQuotedNode(nil, h), `"`)} {
			if again, ok := parseNode(text); !ok || again.addr != h.addr || string(again.name) != string(h.name) {
				t.Errorf("parseNode(%q) = %+v, %v; of %q it was %+v", text, again, ok, b, h)
			}
		}
	})
}
