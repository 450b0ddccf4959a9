package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"hive/engine/options"
	"hive/hive"
)

// script is a test as run, archive and inspect have it: loaded, with its options consolidated.
type script struct {
	*hive.Script
	entry   string // as the user wrote it
	options options.Options
	config  configFile
	lookup  lookupFunc // the environment with the -e flags above it
}

// scriptCommandFlags are the flags of a command that takes a script.
func scriptCommandFlags(systemEnv bool) []cli.Flag {
	return join(optionCLIFlags(), scriptFlags(systemEnv), unsupportedCLIFlags())
}

// open reads the script that the command line names and puts its options together.
func (a *app) open(ctx context.Context, c *cli.Context) (script, error) {
	s, err := a.load(ctx, c)
	if err != nil {
		return s, err
	}
	s.options, err = consolidate(c, s.config, s.Options(), s.entry, s.lookup, a.logs.Logger)
	if err != nil {
		return s, err
	}
	if path := s.options.ConsoleOutput; path != "" {
		return s, a.logs.ConsoleTo(path)
	}
	return s, nil
}

// load does what open does up to the options. Mistakes of the command line are found before the script is read.
func (a *app) load(ctx context.Context, c *cli.Context) (script, error) {
	entry, err := oneArgument(c, `a script, an archive, or "-" for standard input`)
	if err != nil {
		return script{}, err
	}
	env, err := envFlags(c)
	if err != nil {
		return script{}, err
	}
	s := script{entry: entry, lookup: overlay(env, a.lookup)}
	if err := a.checkScriptFlags(c, s.lookup); err != nil {
		return s, err
	}
	if s.config, err = a.config(c); err != nil {
		return s, err
	}
	from := hive.ScriptSource{
		Entry: entry,
		Kind:  c.String("type"),
		Env:   scriptEnv(a.environ, includeSystemEnv(c), env),
		Log:   a.logs.Logger,
	}
	if entry == "-" {
		if from.Stdin, err = io.ReadAll(a.stdin); err != nil {
			return s, fmt.Errorf("read the script from standard input: %w", err)
		}
	}
	s.Script, err = hive.OpenScript(ctx, from)
	return s, err
}

// includeSystemEnv says whether __ENV has this process's environment. What goes to a hive is stored there and read by
// others, so that a remote run has it only when it was asked for.
func includeSystemEnv(c *cli.Context) bool {
	const flag = "include-system-env-vars"
	return c.Bool(flag) && (c.String("remote") == "" || c.IsSet(flag))
}

// checkScriptFlags finds what can be wrong with the flags without knowing the script.
func (a *app) checkScriptFlags(c *cli.Context, lookup lookupFunc) error {
	if err := refuseUnsupported(c, lookup, a.logs.Logger); err != nil {
		return err
	}
	if err := checkMode(c.String("compatibility-mode"), a.logs.Logger); err != nil {
		return err
	}
	if kind := c.String("type"); !slices.Contains([]string{"", "js", "archive"}, kind) {
		return usageError("--type %s: want js or archive", kind)
	}
	if mode := c.String("summary-mode"); !slices.Contains([]string{"compact", "full", "disabled"}, mode) {
		return usageError("--summary-mode %s: want compact, full or disabled", mode)
	}
	_, err := flagLayer(c)
	return err
}

func (a *app) config(c *cli.Context) (configFile, error) {
	data, origin, err := readConfig(c)
	if err != nil {
		return configFile{}, err
	}
	return parseConfig(data, origin)
}
