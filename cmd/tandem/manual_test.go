package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/tandemlb/tandem/internal/manual"
)

// Whatever the command line has is in the manual page, and in each completion.
func TestManualAndCompletionsAreComplete(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("tandem"), kong.Description("Test."), kong.Vars{"config": "c", "socket": "s"})
	if err != nil {
		t.Fatal(err)
	}
	dash := strings.NewReplacer(`\-`, "-").Replace
	page := dash(string(manual.Commands(parser.Model, "1")))
	bash, zsh, fish := string(manual.Bash(parser.Model)), string(manual.Zsh(parser.Model)), string(manual.Fish(parser.Model))
	commands := 0
	for _, c := range parser.Model.Children {
		if c.Hidden {
			if strings.Contains(fish, "-a "+c.Name+" ") {
				t.Errorf("%s is hidden, and in a completion", c.Name)
			}
			continue
		}
		commands++
		_, section, found := strings.Cut(page, `.SS "`+c.Name+"\"\n")
		section, _, _ = strings.Cut(section, "\n.SS")
		for where, has := range map[string]bool{
			"the page": found,
			"bash":     strings.Contains(bash, "\t"+c.Name+")\n"),
			"zsh":      strings.Contains(zsh, "\t\t"+c.Name+") _arguments"),
			"fish":     strings.Contains(fish, " -a "+c.Name+" "),
		} {
			if !has {
				t.Errorf("%s is not in %s", c.Name, where)
			}
		}
		for _, f := range c.Flags {
			if f.Hidden {
				continue
			}
			_, ofBash, _ := strings.Cut(bash, "\t"+c.Name+")\n")
			ofBash, _, _ = strings.Cut(ofBash, ";;\n\t"+"esac")
			_, ofZsh, _ := strings.Cut(zsh, "\t\t"+c.Name+") _arguments")
			ofZsh, _, _ = strings.Cut(ofZsh, ";;")
			for where, has := range map[string]bool{
				"the page": strings.Contains(section, "--"+f.Name),
				"bash":     strings.Contains(ofBash, "--"+f.Name),
				"zsh":      strings.Contains(ofZsh, "--"+f.Name),
				"fish":     strings.Contains(fish, "__fish_seen_subcommand_from "+c.Name+"' -l "+f.Name),
			} {
				if !has {
					t.Errorf("--%s of %s is not in %s", f.Name, c.Name, where)
				}
			}
		}
	}
	if commands < 10 {
		t.Errorf("only %d commands", commands)
	}
}
