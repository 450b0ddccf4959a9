package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// optionalValueFlag is a string flag that may stand alone: `--http-debug` then means `--http-debug=headers`.
// A value must be joined with "=", because a word that follows is the script.
type optionalValueFlag struct {
	*cli.StringFlag
	alone string // value when the flag is given without one
}

// grammar is what is needed to tell flags from values in a command line: every flag of one command by each of its
// names. Urfave's own parser stops at the first word that is not a flag; k6's does not.
type grammar map[string]flagForm

// flagForm says how one flag is written.
type flagForm struct {
	name  string // canonical name, the one passed on
	bare  bool   // takes no value of its own
	alone string // value of a flag that may go without one
}

// newGrammar collects the forms of flags; help is always among them.
func newGrammar(flags []cli.Flag) grammar {
	g := grammar{}
	g.add(cli.HelpFlag)
	for _, f := range flags {
		g.add(f)
	}
	return g
}

func (g grammar) add(f cli.Flag) {
	names := f.Names()
	form := flagForm{name: names[0]}
	switch f := f.(type) {
	case *cli.BoolFlag:
		form.bare = true
	case *optionalValueFlag:
		form.bare, form.alone = true, f.alone
	}
	for _, n := range names {
		g[n] = form
	}
}

// normalise rewrites a whole command line, without the program's name, to the only shape that urfave/cli reads
// correctly: command, flags as --name=value, "--", arguments. Flags may stand before the command, and before or
// after its arguments; "--" ends them and "-" is an argument.
func normalise(app *cli.App, args []string) ([]string, error) {
	root := newGrammar(append([]cli.Flag{cli.VersionFlag}, commonFlags()...)) // -v is --verbose, as everywhere
	before, rest, err := root.scan(args, true)
	if err != nil {
		return nil, err
	}
	if len(rest) == 0 { // there is no command for the other flags to be about
		return slices.DeleteFunc(before, func(word string) bool { return word != "--version" && word != "--help" }), nil
	}
	if rest[0] == "help" {
		return helpFor(rest[1:]), nil
	}
	name, rest := rest[0], rest[1:]
	command := app.Command(name)
	if command == nil {
		return nil, usageError("unknown command %q%s; `hive --help` lists the commands", name, didYouMean(name, commandNames(app)))
	}
	flags, arguments, err := newGrammar(command.Flags).scan(rest, false)
	if err != nil {
		return nil, fmt.Errorf("%w; `hive %s --help` lists the flags", err, command.Name)
	}
	out := append([]string{command.Name}, before...)
	out = append(out, flags...)
	return append(append(out, "--"), arguments...), nil
}

// helpFor turns `help run` into `run --help`.
func helpFor(words []string) []string {
	if len(words) == 0 {
		return []string{"--help"}
	}
	return []string{words[0], "--help"}
}

// scan separates flags from arguments. With leading set it stops at the first argument and returns what follows as it is.
func (g grammar) scan(args []string, leading bool) (flags, arguments []string, err error) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word == "--" {
			return flags, append(arguments, args[i+1:]...), nil
		}
		if word == "-" || !strings.HasPrefix(word, "-") {
			if leading {
				return flags, args[i:], nil
			}
			arguments = append(arguments, word)
			continue
		}
		form, value, joined, err := g.flag(word)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case joined:
		case form.bare:
			value, joined = form.alone, form.alone != ""
		case i+1 == len(args):
			return nil, nil, usageError("flag needs a value: %s", word)
		default:
			i++
			value, joined = args[i], true
		}
		flags = append(flags, write(form.name, value, joined))
	}
	return flags, arguments, nil
}

func write(name, value string, joined bool) string {
	if joined {
		return "--" + name + "=" + value
	}
	return "--" + name
}

// flag reads one word that begins with a dash: --name, --name=value, -n, -n=value or -nvalue.
func (g grammar) flag(word string) (form flagForm, value string, joined bool, err error) {
	if long, ok := strings.CutPrefix(word, "--"); ok {
		name, value, joined := strings.Cut(long, "=")
		form, ok := g[name]
		if !ok || len(name) == 1 {
			return form, "", false, usageError("unknown flag: --%s%s", name, didYouMean(name, g.longNames()))
		}
		return form, value, joined, nil
	}
	short := word[1:]
	form, ok := g[short[:1]]
	if !ok {
		return form, "", false, g.unknownShort(short)
	}
	rest := short[1:]
	switch {
	case rest == "":
		return form, "", false, nil
	case rest[0] == '=':
		return form, rest[1:], true, nil
	case g.has(short):
		return form, "", false, usageError("unknown flag: %s; write --%s", word, short)
	case form.bare:
		return form, "", false, usageError("%s: short flags cannot be bundled; write each on its own, as in -%s -%s", word, short[:1], rest[:1])
	}
	return form, rest, true, nil
}

func (g grammar) unknownShort(short string) error {
	if name, _, _ := strings.Cut(short, "="); g.has(name) {
		return usageError("unknown flag: -%s; write --%s", name, name)
	}
	return usageError("unknown flag: -%s", short)
}

func (g grammar) has(name string) bool {
	_, ok := g[name]
	return ok
}

func (g grammar) longNames() []string {
	var names []string
	for n := range g {
		if len(n) > 1 {
			names = append(names, n)
		}
	}
	return names
}

func commandNames(app *cli.App) []string {
	var names []string
	for _, c := range app.Commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}
