package peer

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/internal/tickets"
	"github.com/tandemlb/tandem/vrrp"
)

func TestStateSurvivesTheWire(t *testing.T) {
	want := State{
		Node: "lb2", Started: time.Unix(1, 0).UTC(), Seq: 3, Version: "1", ConfigHash: "abc", Demoted: true, Fit: true, Reason: "it reaches none",
		VIPs:    map[string]VIP{"main": {Role: vrrp.Backup, Priority: 149, Epoch: 7, Source: netip.MustParseAddr("fe80::1"), Since: time.Unix(4, 0).UTC(), Reason: "started"}},
		Servers: 3, Reachable: 1,
		Lost:    map[string][]Lost{"main": {{What: "gateway 192.0.2.1", Since: time.Unix(2, 0).UTC()}}, "other": {}},
		Slept:   Sleep{At: time.Unix(3, 0).UTC(), For: time.Second, Count: 2},
		Tickets: []tickets.Key{{Secret: tickets.Secret{1, 2}, Born: time.Unix(5, 0).UTC()}},
		Events:  &Events{Boot: 1 << 50, Have: map[string]Mark{"lb1": {Boot: 7, Seq: 8}}},
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestWhatNoNodeSaysIsRefused(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	many := strings.TrimSuffix(strings.Repeat("{},", maxEntries+1), ",")
	var groups []string
	for i := range maxEntries + 1 {
		groups = append(groups, fmt.Sprintf(`"%d":[]`, i))
	}
	for name, tc := range map[string]struct{ text, want string }{
		"not JSON":              {`{`, "unexpected end"},
		"no node":               {`{}`, "names no node"},
		"too large":             {`{"Node":"` + strings.Repeat("x", maxState) + `"}`, "exceed the limit of 1048576"},
		"long text":             {`{"Node":"lb2","Reason":"` + long + `"}`, "a text of 4097 bytes"},
		"long name":             {`{"Node":"lb2","VIPs":{"` + long + `":{}}}`, "a text of 4097 bytes"},
		"long loss":             {`{"Node":"lb2","Lost":{"main":[{"What":"` + long + `"}]}}`, "a text of 4097 bytes"},
		"many groups":           {`{"Node":"lb2","Lost":{` + strings.Join(groups, ",") + `}}`, "4097 groups exceed the limit"},
		"many losses":           {`{"Node":"lb2","Lost":{"main":[` + many + `]}}`, `group "main" misses 4097 things`},
		"epoch out of range":    {`{"Node":"lb2","VIPs":{"main":{"Epoch":18446744073709551615}}}`, `of VIP "main" is out of range`},
		"priority out of range": {`{"Node":"lb2","VIPs":{"main":{"Priority":256}}}`, "cannot unmarshal"},
		"long reason":           {`{"Node":"lb2","VIPs":{"main":{"Reason":"` + long + `"}}}`, "a text of 4097 bytes"},
		"many ticket keys":      {`{"Node":"lb2","Tickets":[` + many + `]}`, "ticket keys exceed the limit"},
		"a zero ticket key":     {`{"Node":"lb2","Tickets":[{}]}`, "all zero"},
		"a short ticket key":    {`{"Node":"lb2","Tickets":[{"Secret":"c2hvcnQ="}]}`, "not 32 bytes in base64"},
		"marks of many":         {`{"Node":"lb2","Events":{"Have":{` + strings.ReplaceAll(strings.Join(groups, ","), "[]", "{}") + `}}}`, "marks of 4097 nodes"},
		"negative sleep":        {`{"Node":"lb2","Slept":{"For":-1}}`, "is negative"},
		"impossible servers":    {`{"Node":"lb2","Servers":1,"Reachable":2}`, "2 reachable of 1 servers"},
	} {
		if _, err := decode([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// A node must never be refused by its peer for the length of an error.
func TestLongReasonIsClipped(t *testing.T) {
	c := New(Options{Self: lb1})
	c.Publish(func(s *State) { s.Reason = strings.Repeat("ü", maxText) })
	s, err := decode(c.encodeOwn())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Reason) < maxText-5 || !utf8.ValidString(s.Reason) || !strings.HasSuffix(s.Reason, "ü...") {
		t.Errorf("%d bytes, ending in %q", len(s.Reason), s.Reason[len(s.Reason)-8:])
	}
}
