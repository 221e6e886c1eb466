package manual

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// sample is a command line with what is hard to write down.
type sample struct {
	Serve struct {
		Config string `short:"c" placeholder:"FILE" help:"It's [here]: a file."`
		Node   string `placeholder:"NAME" help:"A \"name\"."`
		Quick  bool   `help:".hidden from roff"`
		Secret bool   `hidden:""`
	} `cmd:"" help:"Serve what's there."`
	Shell struct {
		Name string `arg:"" enum:"ash,zsh" help:"Which."`
	} `cmd:"" help:"Print it."`
	Inner struct{} `cmd:"" hidden:""`
}

func app(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := kong.New(&sample{}, kong.Name("sample"), kong.Description("A sample."))
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

// run has a program look at text on its standard input. Without the program there is
// nothing to test, but where everything is to be.
func run(t *testing.T, text []byte, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(string(text))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", name, err, out, text)
	}
	return string(out)
}

func TestCompletionsAreScripts(t *testing.T) {
	for name, script := range map[string][]byte{"bash": Bash(app(t)), "zsh": Zsh(app(t)), "fish": Fish(app(t))} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(string(script), "secret") || strings.Contains(string(script), "inner") {
				t.Errorf("what is hidden is shown:\n%s", script)
			}
			args := []string{"-n", "/dev/stdin"}
			if out := run(t, script, name, args...); out != "" {
				t.Errorf("%s\n%s", out, script)
			}
		})
	}
}

func TestBashCompletes(t *testing.T) {
	for typed, want := range map[string]string{
		"sample ''":               "serve shell --help",
		"sample s":                "serve shell",
		"sample serve --":         "--help --config --node --quick",
		"sample serve --node ''":  "",
		"sample serve -c /etc/pa": "/etc/passwd", // among the files of this host
		"sample shell ''":         "--help ash zsh",
	} {
		script := string(Bash(app(t))) + "\ncompopt() { :; }\nCOMP_WORDS=(" + typed + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _sample; echo ${COMPREPLY[*]}"
		got := strings.TrimSpace(run(t, []byte(script), "bash", "-s"))
		if files := strings.HasPrefix(want, "/"); got != want && !(files && strings.Contains(got, want)) {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}

func TestPagesAreRoff(t *testing.T) {
	for name, page := range map[string][]byte{
		"commands": Commands(app(t), "1.0"),
		"document": Document(Heading{Name: "sample.yaml", Section: 5, Summary: "a sample", Version: "1.0"}, markdown),
	} {
		t.Run(name, func(t *testing.T) {
			if out := run(t, page, "groff", "-man", "-Tascii", "-ww", "-z"); out != "" {
				t.Errorf("%s\n%s", out, page)
			}
		})
	}
}

const markdown = "# Sample\n\nA *page*, with `code` and [a link](x.md).\n.begins like a request\n\n## A part\n\n- one\n- two\n" +
	"\n| key | meaning |\n|---|---|\n| `a` | it's a |\n\n```yaml\nkey: 'value' # \\n\n.dot\n```\n"

func TestDocument(t *testing.T) {
	want := `.TH "SAMPLE.YAML" 5 "" "sample.yaml 1.0"
.nh
.ad l
.SH "NAME"
sample.yaml \- a sample
.SH "DESCRIPTION"
.PP
A *page*, with code and a link.
\&.begins like a request
.SH "A PART"
.PP
* one
.PP
* two
.PP
.TP
\fBa\fR
it\(aqs a
.sp
.EX
key: \(aqvalue\(aq # \en
\&.dot
.EE
`
	got := Document(Heading{Name: "sample.yaml", Section: 5, Summary: "a sample", Version: "1.0"}, markdown)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzDocument(f *testing.F) {
	for _, s := range []string{markdown, "```", "|", "| a |", "#", ".so /etc/passwd", "\\", "```\n.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for line := range strings.Lines(string(Document(Heading{Name: "x", Section: 5}, s))) {
			if !strings.HasPrefix(line, ".") {
				continue
			}
			request, _, _ := strings.Cut(strings.TrimSpace(line[1:]), " ")
			switch request {
			case "TH", "nh", "ad", "SH", "PP", "TP", "sp", "EX", "EE":
			default:
				t.Errorf("%q makes the request %q", s, line)
			}
		}
	})
}
