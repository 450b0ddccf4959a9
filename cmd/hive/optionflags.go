package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"hive/engine/options"
)

// optionFlag is a flag that sets an option of the test: the value it stands for in the options object.
type optionFlag struct {
	flag  cli.Flag
	key   string // the option's name in a script
	value func(c *cli.Context) (any, error)
}

// optionFlags are k6's option flags with k6's names, short names and meaning.
func optionFlags() []optionFlag {
	return []optionFlag{
		integer("vus", "u", "vus", "K6_VUS", "`number` of virtual users"),
		duration("duration", "d", "duration", "K6_DURATION", "`length` of the test, such as 30s"),
		integer("iterations", "i", "iterations", "K6_ITERATIONS", "total `number` of iterations of all VUs"),
		stages("stage", "s", "stages", "K6_STAGES", "add a stage `duration:target`; repeatable or separated by commas"),
		sound(text("execution-segment", "", "executionSegment", "", "run only this `part` of the test: 10%, 1/3, 0.2:2/3")),
		text("execution-segment-sequence", "", "executionSegmentSequence", "", "all `parts` that the test is split into: 0,1/4,1/2,1"),
		boolean("paused", "p", "paused", "K6_PAUSED", "start paused"),
		boolean("no-setup", "", "noSetup", "K6_NO_SETUP", "do not run setup()"),
		boolean("no-teardown", "", "noTeardown", "K6_NO_TEARDOWN", "do not run teardown()"),
		integer("max-redirects", "", "maxRedirects", "K6_MAX_REDIRECTS", "follow at most `n` redirects"),
		integer("batch", "", "batch", "K6_BATCH", "at most `n` parallel requests of one http.batch()"),
		integer("batch-per-host", "", "batchPerHost", "K6_BATCH_PER_HOST", "at most `n` of them to one host"),
		integer("rps", "", "rps", "K6_RPS", "at most `n` requests per second"),
		text("user-agent", "", "userAgent", "K6_USER_AGENT", "User-Agent `header` of HTTP requests"),
		httpDebug(),
		boolean("insecure-skip-tls-verify", "", "insecureSkipTLSVerify", "K6_INSECURE_SKIP_TLS_VERIFY", "do not verify TLS certificates"),
		boolean("no-connection-reuse", "", "noConnectionReuse", "K6_NO_CONNECTION_REUSE", "a new connection for every request"),
		boolean("no-vu-connection-reuse", "", "noVUConnectionReuse", "K6_NO_VU_CONNECTION_REUSE", "new connections for every iteration"),
		duration("min-iteration-duration", "", "minIterationDuration", "K6_MIN_ITERATION_DURATION", "least `time` from one iteration's start to the next"),
		boolean("throw", "w", "throw", "K6_THROW", "failed requests throw"),
		sound(repeated("blacklist-ip", "blacklistIPs", "K6_BLACKLIST_IPS", "refuse connections to this `CIDR`; repeatable")),
		list("block-hostnames", "blockHostnames", "K6_BLOCK_HOSTNAMES", "refuse these host `names`, * allowed in front; separated by commas"),
		sound(list("summary-trend-stats", "summaryTrendStats", "K6_SUMMARY_TREND_STATS", "columns of trends in the summary: `avg,p(95)`…")),
		timeUnit(),
		list("system-tags", "systemTags", "K6_SYSTEM_TAGS", "system `tags` to keep, separated by commas"),
		tags(),
		text("console-output", "", "consoleOutput", "K6_CONSOLE_OUTPUT", "write console lines of the script to this `file`"),
		boolean("discard-response-bodies", "", "discardResponseBodies", "K6_DISCARD_RESPONSE_BODIES", "read response bodies without keeping them"),
		text("local-ips", "", "localIPs", "K6_LOCAL_IPS", "client `addresses` for VUs: IPs, ranges a-b and CIDRs, separated by commas"),
		dns(),
	}
}

// optionCLIFlags are the flags alone.
func optionCLIFlags() []cli.Flag {
	var flags []cli.Flag
	for _, f := range optionFlags() {
		flags = append(flags, f.flag)
	}
	return flags
}

// directOptions are the options that no script can set; they have no place in the options object.
type directOptions struct {
	ConsoleOutput, LocalIPs *string
}

// optionsFromFlags is the options object that the flags on the command line stand for: only what was given is in it.
func optionsFromFlags(c *cli.Context) (json.RawMessage, directOptions, error) {
	object := map[string]any{}
	for _, f := range optionFlags() {
		name := f.flag.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		v, err := f.value(c)
		if err != nil {
			return nil, directOptions{}, withCode(exitOther, fmt.Errorf("--%s %s: %w", name, given(c, name), err))
		}
		if v != nil {
			object[f.key] = v
		}
	}
	var direct directOptions
	for _, d := range []struct {
		key string
		to  **string
	}{{"consoleOutput", &direct.ConsoleOutput}, {"localIPs", &direct.LocalIPs}} {
		if v, ok := object[d.key].(string); ok {
			*d.to = &v
			delete(object, d.key)
		}
	}
	data, err := json.Marshal(object)
	return data, direct, err
}

// given is a flag's value as an error message quotes it.
func given(c *cli.Context, name string) string {
	if values := c.StringSlice(name); len(values) > 0 {
		return strings.Join(values, " ")
	}
	return c.String(name)
}

func aliases(short string) []string {
	if short == "" {
		return nil
	}
	return []string{short}
}

// usage adds the environment variable to a flag's help; the variables themselves are read with the other options.
func usage(text, env string) string {
	if env == "" {
		return text
	}
	return text + " [$" + env + "]"
}

func stringFlag(name, short, env, help string) *cli.StringFlag {
	return &cli.StringFlag{Name: name, Aliases: aliases(short), Usage: usage(help, env)}
}

func sliceFlag(name, short, env, help string) *cli.StringSliceFlag {
	return &cli.StringSliceFlag{Name: name, Aliases: aliases(short), KeepSpace: true, Usage: usage(help, env)}
}

func integer(name, short, key, env, help string) optionFlag {
	return optionFlag{stringFlag(name, short, env, help), key, func(c *cli.Context) (any, error) {
		n, err := strconv.ParseInt(c.String(name), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("want a whole number")
		}
		return n, nil
	}}
}

func boolean(name, short, key, env, help string) optionFlag {
	flag := &cli.BoolFlag{Name: name, Aliases: aliases(short), Usage: usage(help, env)}
	return optionFlag{flag, key, func(c *cli.Context) (any, error) { return c.Bool(name), nil }}
}

func text(name, short, key, env, help string) optionFlag {
	return optionFlag{stringFlag(name, short, env, help), key, func(c *cli.Context) (any, error) { return c.String(name), nil }}
}

// duration takes Go's form only: bare milliseconds are for scripts and variables, as in k6.
func duration(name, short, key, env, help string) optionFlag {
	return optionFlag{stringFlag(name, short, env, help), key, func(c *cli.Context) (any, error) {
		if _, err := time.ParseDuration(c.String(name)); err != nil {
			return nil, fmt.Errorf("want a duration with a unit, such as 30s or 1m30s")
		}
		return c.String(name), nil
	}}
}

// list takes values separated by commas, and may be repeated.
func list(name, key, env, help string) optionFlag {
	return optionFlag{sliceFlag(name, "", env, help), key, func(c *cli.Context) (any, error) {
		return splitCommas(c.StringSlice(name)), nil
	}}
}

func repeated(name, key, env, help string) optionFlag {
	return optionFlag{sliceFlag(name, "", env, help), key, func(c *cli.Context) (any, error) {
		return c.StringSlice(name), nil
	}}
}

// sound checks the value of a flag by itself, so that a mistake in it counts as one of the command line and not of the
// options as a whole, as in k6.
func sound(f optionFlag) optionFlag {
	value := f.value
	f.value = func(c *cli.Context) (any, error) {
		v, err := value(c)
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(map[string]any{f.key: v})
		if err != nil {
			return nil, err
		}
		layer, _, err := options.FromJSON(data, "the command line")
		if err == nil {
			_, _, err = options.Consolidate(layer)
		}
		return v, err
	}
	return f
}

// splitCommas splits every value at its commas and drops what is empty.
func splitCommas(values []string) []string {
	out := []string{}
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// stage is one entry of the option `stages`.
type stage struct {
	Duration string `json:"duration"`
	Target   int64  `json:"target"`
}

func stages(name, short, key, env, help string) optionFlag {
	return optionFlag{sliceFlag(name, short, env, help), key, func(c *cli.Context) (any, error) {
		all := []stage{}
		for _, word := range splitCommas(c.StringSlice(name)) {
			s, err := parseStage(word)
			if err != nil {
				return nil, withCode(exitConfig, err)
			}
			all = append(all, s)
		}
		return all, nil
	}}
}

func parseStage(word string) (stage, error) {
	length, target, ok := strings.Cut(word, ":")
	if !ok {
		return stage{}, fmt.Errorf("stage %q: want duration:target, such as 30s:10", word)
	}
	if _, err := time.ParseDuration(length); err != nil {
		return stage{}, fmt.Errorf("stage %q: duration %q: want one with a unit, such as 30s", word, length)
	}
	n, err := strconv.ParseInt(target, 10, 64)
	if err != nil {
		return stage{}, fmt.Errorf("stage %q: target %q: want a whole number of VUs", word, target)
	}
	return stage{Duration: length, Target: n}, nil
}

func httpDebug() optionFlag {
	const name = "http-debug"
	flag := &optionalValueFlag{stringFlag(name, "", "K6_HTTP_DEBUG", "log HTTP traffic: `headers`, or full with bodies"), "headers"}
	return optionFlag{flag, "httpDebug", func(c *cli.Context) (any, error) {
		switch v := c.String(name); v {
		case "headers", "full":
			return v, nil
		default:
			return nil, fmt.Errorf(`want "headers" or "full"`)
		}
	}}
}

func timeUnit() optionFlag {
	const name = "summary-time-unit"
	flag := stringFlag(name, "", "K6_SUMMARY_TIME_UNIT", "`unit` of times in the summary: s, ms or us")
	return optionFlag{flag, "summaryTimeUnit", func(c *cli.Context) (any, error) {
		if v := c.String(name); !slices.Contains([]string{"s", "ms", "us"}, v) {
			return nil, fmt.Errorf("want s, ms or us")
		}
		return c.String(name), nil
	}}
}

func tags() optionFlag {
	const name = "tag"
	flag := sliceFlag(name, "", "", "tag `name=value` on all samples; repeatable [$K6_TAGS, as name:value]")
	return optionFlag{flag, "tags", func(c *cli.Context) (any, error) {
		all := map[string]string{}
		for _, word := range c.StringSlice(name) {
			k, v, _ := strings.Cut(word, "=")
			if k == "" || v == "" {
				return nil, fmt.Errorf("tag %q: want name=value, neither of them empty", word)
			}
			all[k] = v
		}
		return all, nil
	}}
}

// defaultDNS is k6's text for its own defaults; given literally it sets nothing.
const defaultDNS = "ttl=5m,select=random,policy=preferIPv4"

func dns() optionFlag {
	const name = "dns"
	flag := stringFlag(name, "", "K6_DNS", "resolver `settings`: ttl=5m,select=random,policy=preferIPv4")
	return optionFlag{flag, "dns", func(c *cli.Context) (any, error) {
		if c.String(name) == defaultDNS {
			return nil, nil
		}
		return parseDNS(c.String(name))
	}}
}

func parseDNS(s string) (map[string]string, error) {
	out := map[string]string{}
	for _, field := range splitCommas([]string{s}) {
		k, v, ok := strings.Cut(field, "=")
		if !ok || !slices.Contains([]string{"ttl", "select", "policy"}, k) {
			return nil, fmt.Errorf("dns setting %q: want ttl=, select= or policy=", field)
		}
		out[k] = v
	}
	return out, nil
}
