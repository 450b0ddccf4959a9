package main

import (
	"fmt"
	"log/slog"

	"github.com/urfave/cli/v2"
)

// An unsupportedFlag is one of k6's that hive does not have yet. It is known, so that its value is not taken for the
// script, and refused by name.
type unsupportedFlag struct {
	flag   cli.Flag
	env    string // variable that sets it in k6
	reason string
	unless string // a value that asks for nothing
}

func unsupportedFlags() []unsupportedFlag {
	hidden := func(name, short string) cli.Flag {
		return &cli.StringSliceFlag{Name: name, Aliases: aliases(short), Hidden: true, KeepSpace: true}
	}
	return []unsupportedFlag{
		{hidden("address", "a"), "K6_ADDRESS", "a local run serves no REST API; `hive join` serves hive's own", ""},
		{&cli.BoolFlag{Name: "profiling-enabled", Hidden: true}, "K6_PROFILING_ENABLED", "hive serves no profiles", "false"},
		{hidden("secret-source", ""), "K6_SECRET_SOURCE", "k6/secrets is not there yet", ""},
		{hidden("traces-output", ""), "K6_TRACES_OUTPUT", "hive sends no traces", "none"},
		{hidden("features", ""), "K6_FEATURES", "hive has no feature flags", ""},
	}
}

func unsupportedCLIFlags() []cli.Flag {
	var flags []cli.Flag
	for _, u := range unsupportedFlags() {
		flags = append(flags, u.flag)
	}
	return flags
}

// refuseUnsupported is the error about the first flag that hive does not have. A variable with the same meaning may
// have been set for the whole machine, so it is only warned about.
func refuseUnsupported(c *cli.Context, lookup func(string) (string, bool), log *slog.Logger) error {
	for _, u := range unsupportedFlags() {
		name := u.flag.Names()[0]
		if c.IsSet(name) && given(c, name) != u.unless {
			return usageError("--%s is not supported: %s", name, u.reason)
		}
		if v, ok := lookup(u.env); ok && v != "" && v != u.unless {
			log.Warn(fmt.Sprintf("%s=%s has no effect: %s", u.env, v, u.reason))
		}
	}
	return nil
}

// modeExtended is the one compatibility mode that hive has.
const modeExtended = "extended"

// checkMode accepts k6's compatibility modes: the stricter ones only forbid what hive allows.
func checkMode(mode string, log *slog.Logger) error {
	switch mode {
	case modeExtended:
		return nil
	case "base", "experimental_enhanced":
		log.Warn(fmt.Sprintf("compatibility mode %q is run as %q", mode, modeExtended))
		return nil
	default:
		return usageError("--compatibility-mode %s: want %s", mode, modeExtended)
	}
}
