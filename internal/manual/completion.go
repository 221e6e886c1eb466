package manual

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Bash returns the completion of app for bash.
func Bash(app *kong.Application) []byte {
	var b bytes.Buffer
	names := names(app)
	fmt.Fprintf(&b, `# Completion of %[1]s for bash.
_%[1]s() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i
	COMPREPLY=()
	if [[ $cur == '=' ]]; then
		cur=
	elif [[ $prev == '=' ]]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		%[2]s) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	case $command in
	'') COMPREPLY=($(compgen -W '%[3]s --help' -- "$cur")) ;;
`, app.Name, strings.Join(names, " | "), strings.Join(names, " "))
	for _, c := range shown(app.Children) {
		fmt.Fprintf(&b, "\t%s)\n", c.Name)
		b.WriteString(bashValues(c))
		words := []string{"--help"}
		for _, f := range flags(c) {
			words = append(words, "--"+f.Name)
		}
		fmt.Fprintf(&b, "\t\tCOMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", strings.Join(append(words, choices(c)...), " "))
	}
	fmt.Fprintf(&b, "\tesac\n}\ncomplete -F _%[1]s %[1]s\n", app.Name)
	return b.Bytes()
}

// bashValues completes what follows a flag that wants a value.
func bashValues(c *kong.Node) string {
	var files, others []string
	for _, f := range flags(c) {
		spelled := "--" + f.Name
		if f.Short != 0 {
			spelled = fmt.Sprintf("-%c | %s", f.Short, spelled)
		}
		switch {
		case f.IsBool():
		case wantsFile(f):
			files = append(files, spelled)
		default:
			others = append(others, spelled)
		}
	}
	var s string
	if len(files) > 0 {
		s += fmt.Sprintf("\t\t%s) compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", strings.Join(files, " | "))
	}
	if len(others) > 0 {
		s += fmt.Sprintf("\t\t%s) return ;;\n", strings.Join(others, " | "))
	}
	if s == "" {
		return ""
	}
	return "\t\tcase $prev in\n" + s + "\t\tesac\n"
}

// Zsh returns the completion of app for zsh.
func Zsh(app *kong.Application) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "#compdef %[1]s\n\n_%[1]s() {\n\tlocal curcontext=$curcontext state line\n\tlocal -a commands=(\n", app.Name)
	for _, c := range shown(app.Children) {
		fmt.Fprintf(&b, "\t\t%s\n", shellQuote(c.Name+":"+c.Help))
	}
	b.WriteString("\t)\n\t_arguments -C '--help[Show help.]' '1: :->command' '*:: :->arguments'\n" +
		"\tcase $state in\n\tcommand) _describe -t commands command commands ;;\n\targuments)\n\t\tcase $line[1] in\n")
	for _, c := range shown(app.Children) {
		fmt.Fprintf(&b, "\t\t%s) _arguments '--help[Show help.]'", c.Name)
		for _, f := range flags(c) {
			b.WriteString(" \\\n\t\t\t" + zshFlag(f))
		}
		for i, a := range c.Positional {
			fmt.Fprintf(&b, " \\\n\t\t\t%s", shellQuote(fmt.Sprintf("%d:%s:%s", i+1, strings.ReplaceAll(argument(a), ":", ""), zshChoices(c, a))))
		}
		b.WriteString(" ;;\n")
	}
	fmt.Fprintf(&b, "\t\tesac ;;\n\tesac\n}\n\n_%[1]s \"$@\"\n", app.Name)
	return b.Bytes()
}

func zshFlag(f *kong.Flag) string {
	// These end the help, or name what comes next.
	help := "[" + strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`).Replace(f.Help) + "]"
	value := ""
	if !f.IsBool() {
		help = "=" + help
		value = ":" + strings.ReplaceAll(f.FormatPlaceHolder(), ":", "") + ":"
		if wantsFile(f) {
			value += "_files"
		}
	}
	if f.Short == 0 {
		return shellQuote("--" + f.Name + help + value)
	}
	short := fmt.Sprintf("-%c", f.Short)
	// The short form has its value after a space, and without "=".
	return shellQuote(fmt.Sprintf("(%s --%s)%s%s%s", short, f.Name, short, strings.TrimPrefix(help, "="), value)) + " " +
		shellQuote(fmt.Sprintf("(%s --%s)--%s%s%s", short, f.Name, f.Name, help, value))
}

func zshChoices(c *kong.Node, a *kong.Positional) string {
	if c.Positional[len(c.Positional)-1] == a && len(choices(c)) > 0 {
		return "(" + strings.Join(choices(c), " ") + ")"
	}
	return " "
}

// Fish returns the completion of app for fish.
func Fish(app *kong.Application) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "complete -c %s -f -l help -d 'Show help.'\n", app.Name)
	for _, c := range shown(app.Children) {
		fmt.Fprintf(&b, "complete -c %s -f -n __fish_use_subcommand -a %s -d %s\n", app.Name, c.Name, fishQuote(c.Help))
		seen := fmt.Sprintf("complete -c %s -f -n '__fish_seen_subcommand_from %s'", app.Name, c.Name)
		for _, f := range flags(c) {
			fmt.Fprintf(&b, "%s -l %s", seen, f.Name)
			if f.Short != 0 {
				fmt.Fprintf(&b, " -s %c", f.Short)
			}
			switch {
			case f.IsBool():
			case wantsFile(f):
				b.WriteString(" -rF")
			default:
				b.WriteString(" -x")
			}
			fmt.Fprintf(&b, " -d %s\n", fishQuote(f.Help))
		}
		if words := choices(c); len(words) > 0 {
			fmt.Fprintf(&b, "%s -a %s\n", seen, fishQuote(strings.Join(words, " ")))
		}
	}
	return b.Bytes()
}

func names(app *kong.Application) (all []string) {
	for _, c := range shown(app.Children) {
		all = append(all, c.Name)
	}
	return all
}

// choices are the words that the last argument of a command can be; nil: any.
func choices(c *kong.Node) []string {
	if len(c.Positional) == 0 {
		return nil
	}
	last := c.Positional[len(c.Positional)-1]
	if last.Enum == "" {
		return nil
	}
	return last.EnumSlice()
}

// wantsFile reports whether the value of f is a path on this host.
func wantsFile(f *kong.Flag) bool {
	p := f.FormatPlaceHolder()
	return strings.HasPrefix(p, "FILE") || strings.HasPrefix(p, "PATH")
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
