package supervisor

import (
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/config"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("tandem.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const pairConfig = `
nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}
vip: 192.0.2.100/24
listeners:
  web: {bind: ":80", servers: [192.0.2.21:8080]}
`

func TestWhatAReloadCannotChangeIsNamed(t *testing.T) {
	old := &loaded{config: parse(t, pairConfig)}
	for name, tc := range map[string]struct {
		text string
		want string
	}{
		"the same": {pairConfig, ""},
		"a server": {strings.Replace(pairConfig, ".21:", ".22:", 1), ""},
		"nodes":    {strings.Replace(pairConfig, "192.0.2.12", "192.0.2.13", 1), "nodes cannot be changed by a reload"},
		"cluster":  {pairConfig + "cluster: {port: 1234}\n", "cluster cannot be changed by a reload"},
		"admin":    {pairConfig + "admin: {socket: /run/other.sock}\n", "admin cannot be changed by a reload"},
		"no vip":   {strings.Replace(pairConfig, "vip: 192.0.2.100/24", "", 1), "the first or the last VIP cannot be changed"},
	} {
		t.Run(name, func(t *testing.T) {
			err := fixed(old, &loaded{config: parse(t, tc.text)})
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestThePseudonymIsThatOfThePair(t *testing.T) {
	const single = "listeners:\n  web: {bind: \"127.0.0.1:80\", servers: [192.0.2.21:8080]}\n"
	of := func(text string) string { return pseudonym(parse(t, text)) }
	if got := of(pairConfig); got != of(pairConfig) || !strings.HasPrefix(got, "tandem-") || len(got) != len("tandem-")+8 {
		t.Errorf("pseudonym %q, and then %q", got, of(pairConfig))
	}
	for name, tc := range map[string]struct {
		one, other string
		same       bool
	}{
		"other servers":                {pairConfig, strings.Replace(pairConfig, ".21:", ".22:", 1), true},
		"another vip":                  {pairConfig, strings.Replace(pairConfig, ".100/", ".101/", 1), true},
		"other nodes":                  {pairConfig, strings.Replace(pairConfig, ".12}", ".13}", 1), false},
		"a pair and a single proxy":    {pairConfig, single, false},
		"two single proxies of a host": {single, strings.Replace(single, ":80\"", ":81\"", 1), false},
	} {
		if got := of(tc.one) == of(tc.other); got != tc.same {
			t.Errorf("%s: the same: %v", name, got)
		}
	}
}
