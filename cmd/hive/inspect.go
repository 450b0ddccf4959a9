package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"hive/engine/executor"
	"hive/engine/options"
)

func (a *app) inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "print the options of a script or an archive",
		ArgsUsage: "FILE",
		Flags: join(scriptCommandFlags(false), []cli.Flag{
			&cli.BoolFlag{Name: "execution-requirements", Usage: "consolidate the options and add totalDuration and maxVUs"},
		}),
		Action: a.inspect,
	}
}

func (a *app) inspect(c *cli.Context) error {
	ctx, stop := interruptible(c.Context, a.leave)
	defer stop()
	object, err := a.inspected(ctx, c)
	if err != nil {
		return interruptedError(ctx, err)
	}
	return object.write(a.screen.out)
}

// inspected is what inspect prints.
func (a *app) inspected(ctx context.Context, c *cli.Context) (optionsObject, error) {
	if !c.Bool("execution-requirements") {
		s, err := a.load(ctx, c)
		if err != nil {
			return optionsObject{}, err
		}
		return a.exported(s)
	}
	s, err := a.open(ctx, c)
	if err != nil {
		return optionsObject{}, err
	}
	view, err := s.options.ScriptView()
	if err != nil {
		return optionsObject{}, err
	}
	object, err := newOptionsObject(view)
	if err != nil {
		return object, err
	}
	peak, longest := requirements(s.options)
	object.add("totalDuration", durationText(longest))
	object.add("maxVUs", peak)
	return object, nil
}

// exported are the script's own options, once they have been found to be right.
func (a *app) exported(s script) (optionsObject, error) {
	if set := s.Options(); set != nil {
		_, warnings, err := options.FromJSON(set, s.entry+": options")
		warn(a.logs.Logger, warnings)
		if err != nil {
			return optionsObject{}, withCode(exitConfig, err)
		}
	}
	return newOptionsObject(s.Options())
}

// requirements are the most VUs that a test uses at once and how long it may last, gracefulStop included.
func requirements(opts options.Options) (vus int, longest time.Duration) {
	return executor.Layout(opts.Scenarios).Slots, executor.TotalDuration(opts.Scenarios)
}

// durationText writes a duration as 1m30s, and the longest there is as "unlimited".
func durationText(d time.Duration) string {
	if d == math.MaxInt64 {
		return "unlimited"
	}
	return d.String()
}

// optionsObject is a JSON object with the test's options in k6's order: every option is there, null when it is not set.
type optionsObject struct {
	keys   []string
	values map[string]json.RawMessage
}

// optionNames are the options that a script can set, in the order in which k6 prints them.
var optionNames = []string{
	"paused", "vus", "duration", "iterations", "stages", "scenarios", "executionSegment", "executionSegmentSequence",
	"noSetup", "setupTimeout", "noTeardown", "teardownTimeout", "handleSummaryTimeout", "rps", "dns", "maxRedirects",
	"userAgent", "batch", "batchPerHost", "httpDebug", "insecureSkipTLSVerify", "tlsCipherSuites", "tlsVersion",
	"tlsAuth", "throw", "thresholds", "blacklistIPs", "blockHostnames", "hosts", "noConnectionReuse",
	"noVUConnectionReuse", "minIterationDuration", "cloud", "ext", "summaryTrendStats", "summaryTimeUnit", "systemTags",
	"tags", "metricSamplesBufferSize", "noCookiesReset", "discardResponseBodies", "features",
}

func newOptionsObject(set json.RawMessage) (optionsObject, error) {
	o := optionsObject{keys: append([]string(nil), optionNames...), values: map[string]json.RawMessage{}}
	if len(set) == 0 {
		return o, nil // the script exports no options
	}
	if err := json.Unmarshal(set, &o.values); err != nil {
		return o, fmt.Errorf("options: want an object: %w", err)
	}
	if o.values == nil { // they were null
		o.values = map[string]json.RawMessage{}
	}
	return o, nil
}

func (o *optionsObject) add(key string, value any) {
	text, err := json.Marshal(value)
	if err != nil { // strings and numbers always have a JSON form
		text = json.RawMessage("null")
	}
	o.keys = append(o.keys, key)
	o.values[key] = text
}

func (o *optionsObject) write(w io.Writer) error {
	var b bytes.Buffer
	separator := "{"
	for _, key := range o.keys {
		fmt.Fprintf(&b, "%s%q:%s", separator, key, cmp.Or(string(o.values[key]), "null"))
		separator = ","
	}
	b.WriteString("}")
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes(), "", "  "); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	out.WriteString("\n")
	_, err := w.Write(out.Bytes())
	return err
}
