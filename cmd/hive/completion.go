package main

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/urfave/cli/v2"
)

//go:embed templates/completion.*
var completionFiles embed.FS

// shells are those that completion scripts exist for, each templates/completion.<shell>.
var shells = []string{"bash", "fish", "powershell", "zsh"}

func (a *app) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a script that completes hive's commands and flags in a shell",
		ArgsUsage: "bash|fish|powershell|zsh",
		Description: "bash:       source <(hive completion bash)\n" +
			"zsh:        source <(hive completion zsh)\n" +
			"fish:       hive completion fish | source\n" +
			"powershell: hive completion powershell | Out-String | Invoke-Expression",
		Action: a.completion,
	}
}

func (a *app) completion(c *cli.Context) error {
	shell, err := oneArgument(c, "the shell: "+strings.Join(shells, ", "))
	if err != nil {
		return err
	}
	if !slices.Contains(shells, shell) {
		return usageError("completion: unknown shell %q; there are %s", shell, strings.Join(shells, ", "))
	}
	t, err := template.New("completion."+shell).Funcs(template.FuncMap{"join": strings.Join, "quote": shellQuote}).
		ParseFS(completionFiles, "templates/completion."+shell)
	if err != nil {
		return fmt.Errorf("completion script: %w", err)
	}
	return t.Execute(a.screen.out, completions(c.App))
}

// completedCommand is a command as the completion scripts see it.
type completedCommand struct {
	Name, Usage string
	Files       bool     // takes a file as argument
	Words       []string // its other arguments, where they are known
	Flags       []completedFlag
}

// completedFlag is one of its flags.
type completedFlag struct {
	Long, Short string // without dashes; Short may be empty
	Usage       string
	Bare        bool // takes no value
}

// Dashed lists a command's flags as they are typed.
func (c completedCommand) Dashed() []string {
	var words []string
	for _, f := range c.Flags {
		words = append(words, "--"+f.Long)
		if f.Short != "" {
			words = append(words, "-"+f.Short)
		}
	}
	return words
}

func completions(program *cli.App) []completedCommand {
	var all []completedCommand
	for _, c := range program.Commands {
		if c.Hidden {
			continue
		}
		out := completedCommand{Name: c.Name, Usage: c.Usage, Files: takesFile(c)}
		if c.Name == "completion" {
			out.Words = shells
		}
		for _, f := range c.Flags {
			if visible, ok := f.(cli.VisibleFlag); ok && visible.IsVisible() {
				out.Flags = append(out.Flags, completedFlagOf(f))
			}
		}
		all = append(all, out)
	}
	return all
}

func takesFile(c *cli.Command) bool { return strings.Contains(c.ArgsUsage, "FILE") }

func completedFlagOf(f cli.Flag) completedFlag {
	out := completedFlag{Long: f.Names()[0]}
	for _, n := range f.Names()[1:] {
		if len(n) == 1 {
			out.Short = n
		}
	}
	if d, ok := f.(cli.DocGenerationFlag); ok {
		out.Usage = strings.ReplaceAll(d.GetUsage(), "`", "")
		out.Bare = !d.TakesValue()
	}
	return out
}

// shellQuote puts s in single quotes for any of the shells; single quotes within are left out rather than escaped in
// four ways.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", "") + "'" }
