package metrics

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	alertsPath    = "../../docs/alerts.yml"
	testsPath     = "testdata/alerts.test.yml"
	dashboardPath = "../../docs/grafana.json"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	mentioned = regexp.MustCompile(`tandem_[a-z0-9_]+`)
	selector  = regexp.MustCompile(`(tandem_[a-z0-9_]+)\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
)

// known returns the family of a name, as Prometheus has it.
func known(name string) (family, bool) {
	for _, f := range families {
		full := prefix + f.name
		if name == full {
			return f, true
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if f.kind == histogram && name == full+suffix {
				return f, true
			}
		}
	}
	return family{}, false
}

// judge reports metrics, and labels of them, that do not exist.
func judge(t *testing.T, where, expr string) {
	t.Helper()
	for _, name := range mentioned.FindAllString(expr, -1) {
		if _, ok := known(name); !ok {
			t.Errorf("%s names %s, which there is not", where, name)
		}
	}
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		f, _ := known(s[1])
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if label := m[1]; !slices.Contains(f.labels, label) && !slices.Contains([]string{"job", "instance", "le"}, label) {
				t.Errorf("%s asks for the label %s of %s, which has none", where, label, s[1])
			}
		}
	}
}

func TestAlertsAreOfMetricsThatExistAndAreTested(t *testing.T) {
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(read(t, alertsPath), &file); err != nil {
		t.Fatal(err)
	}
	tests := string(read(t, testsPath))
	seen := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			judge(t, "the alert "+r.Alert, r.Expr)
			for _, text := range r.Annotations {
				judge(t, "the text of the alert "+r.Alert, text)
			}
			if !strings.Contains(tests, `alertname="`+r.Alert+`"`) {
				t.Errorf("the alert %s has no test in %s", r.Alert, testsPath)
			}
			if seen[r.Alert] || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("the alert %s: it is there twice, or says too little", r.Alert)
			}
			seen[r.Alert] = true
		}
	}
	if len(seen) < 20 {
		t.Errorf("found only %d alerts", len(seen))
	}
	judge(t, testsPath, tests)
}

// expressions returns what a dashboard asks for, by the title of the panel.
func expressions(v any, title string, to map[string][]string) {
	switch v := v.(type) {
	case map[string]any:
		if s, ok := v["title"].(string); ok {
			title = s
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if s, ok := v[key].(string); ok && (key == "expr" || key == "query") {
				to[title] = append(to[title], s)
			}
			expressions(v[key], title, to)
		}
	case []any:
		for _, one := range v {
			expressions(one, title, to)
		}
	}
}

func TestDashboardIsOfMetricsThatExist(t *testing.T) {
	var board map[string]any
	if err := json.Unmarshal(read(t, dashboardPath), &board); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	expressions(board, "", all)
	n := 0
	var rules bytes.Buffer // the expressions as rules, for who can parse them
	rules.WriteString("groups: [{name: dashboard, rules: [\n")
	for _, title := range slices.Sorted(maps.Keys(all)) {
		for _, e := range all[title] {
			judge(t, "the panel "+title, e)
			if !strings.Contains(e, "tandem_") || strings.HasPrefix(e, "label_values(") {
				continue
			}
			n++
			e = strings.ReplaceAll(e, "$__rate_interval", "5m")
			text, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			rules.WriteString("{record: a, expr: " + string(text) + ", labels: {n: \"" + strings.Repeat("x", n) + "\"}},\n")
		}
	}
	rules.WriteString("]}]\n")
	if n < 40 {
		t.Errorf("found only %d expressions", n)
	}
	path := t.TempDir() + "/dashboard.yml"
	if err := os.WriteFile(path, rules.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", path)
}

// promtool runs the tool of Prometheus. It skips the test where there is none.
func promtool(t *testing.T, stdin []byte, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("needs promtool (Debian: apt-get install prometheus)")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlertsFireWhenTheyAreTo(t *testing.T) {
	promtool(t, nil, "check", "rules", alertsPath)
	promtool(t, nil, "test", "rules", testsPath)
}

func TestPrometheusLikesTheMetrics(t *testing.T) {
	promtool(t, []byte(full().text()), "check", "metrics")
}
