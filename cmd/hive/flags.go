package main

import "github.com/urfave/cli/v2"

// commonFlags are accepted by every command, before or after its name.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, EnvVars: []string{"K6_CONFIG"},
			Usage: "JSON `file` with options; the default may be absent", DefaultText: defaultConfigText()},
		&cli.StringFlag{Name: "log-format", EnvVars: []string{"K6_LOG_FORMAT"}, Value: "text", Usage: "`format` of log lines: text, raw or json"},
		&cli.StringFlag{Name: "log-output", EnvVars: []string{"K6_LOG_OUTPUT"}, Value: "stderr",
			Usage: "`where` log lines go: stderr, stdout, none or file=path[,level=warning]"},
		&cli.BoolFlag{Name: "no-color", Usage: "no colours on a terminal [$K6_NO_COLOR, $NO_COLOR]"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no banner and no progress"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "log debug messages"},
	}
}

// scriptFlags say how a script is read and what it sees; run, archive and inspect take them.
// systemEnv is the default of --include-system-env-vars.
func scriptFlags(systemEnv bool) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "include-system-env-vars", EnvVars: []string{"K6_INCLUDE_SYSTEM_ENV_VARS"}, Value: systemEnv,
			Usage: "the script sees the environment of this process in __ENV"},
		&cli.StringFlag{Name: "compatibility-mode", EnvVars: []string{"K6_COMPATIBILITY_MODE"}, Value: modeExtended,
			Usage: "JavaScript compatibility `mode`: extended"},
		&cli.StringFlag{Name: "type", Aliases: []string{"t"}, EnvVars: []string{"K6_TYPE"}, Usage: "`type` of the test, js or archive, instead of finding out"},
		&cli.StringSliceFlag{Name: "env", Aliases: []string{"e"}, KeepSpace: true, Usage: "set `NAME=value` in __ENV; repeatable"},
		&cli.BoolFlag{Name: "no-thresholds", EnvVars: []string{"K6_NO_THRESHOLDS"}, Usage: "thresholds are neither checked nor judged"},
		&cli.StringFlag{Name: "summary-mode", EnvVars: []string{"K6_SUMMARY_MODE"}, Value: "compact",
			Usage: "`mode` of the end-of-test summary: compact, full or disabled"},
		summaryExportFlag(),
	}
}

func summaryExportFlag() cli.Flag {
	return &cli.StringFlag{Name: "summary-export", EnvVars: []string{"K6_SUMMARY_EXPORT"}, Usage: "write the summary to this JSON `file`"}
}

// outcomeFlags say where results go; only run takes them.
func outcomeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "out", Aliases: []string{"o"}, KeepSpace: true,
			Usage: "send samples to `type=target`: json or csv; repeatable [$K6_OUT]"},
		&cli.BoolFlag{Name: "linger", Aliases: []string{"l"}, EnvVars: []string{"K6_LINGER"}, Usage: "stay after the end of the test until Ctrl-C"},
		&cli.BoolFlag{Name: "new-machine-readable-summary", EnvVars: []string{"K6_NEW_MACHINE_READABLE_SUMMARY"},
			Usage: "give handleSummary and --summary-export k6's newer shape"},
		&cli.BoolFlag{Name: "no-usage-report", EnvVars: []string{"K6_NO_USAGE_REPORT"}, Usage: "accepted for k6's sake: hive reports to nobody"},
	}
}

// hiveFlags name the hive to talk to. Without required, the command works locally when no --remote is given.
func hiveFlags(required bool) []cli.Flag {
	remote := &cli.StringFlag{Name: "remote", EnvVars: []string{"HIVE_REMOTE"}, Usage: "`URL` of any node's API"}
	if required {
		remote.Value = defaultRemote
	}
	return []cli.Flag{remote, tokenFlag()}
}

func tokenFlag() cli.Flag {
	return &cli.StringFlag{Name: "token", EnvVars: []string{"HIVE_TOKEN"}, Usage: "`secret` that the nodes were started with"}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON"}
}

// defaultRemote is where the first node of a machine listens.
const defaultRemote = "http://127.0.0.1:7070"

// join puts flag lists together for one command.
func join(lists ...[]cli.Flag) []cli.Flag {
	var all []cli.Flag
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
