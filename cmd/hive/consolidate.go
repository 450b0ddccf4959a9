package main

import (
	"encoding/json"
	"log/slog"

	"github.com/urfave/cli/v2"

	"hive/engine/options"
)

// configFile is the JSON configuration file: options of the test, and a few settings of the command.
type configFile struct {
	options json.RawMessage // without the command's settings; nil without a file
	origin  string
	out     []string
	linger  bool
}

// parseConfig separates the command's settings from the test's options.
func parseConfig(data []byte, origin string) (configFile, error) {
	cfg := configFile{origin: origin}
	if data == nil {
		return cfg, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return cfg, configError("config file %s: want one JSON object: %w", origin, err)
	}
	if err := take(object, "out", &cfg.out); err != nil {
		return cfg, configError("config file %s: out: want a list of type=target: %w", origin, err)
	}
	if err := take(object, "linger", &cfg.linger); err != nil {
		return cfg, configError("config file %s: linger: want true or false: %w", origin, err)
	}
	for _, key := range []string{"webDashboard", "collectors"} {
		if _, ok := object[key]; ok {
			return cfg, configError("config file %s: %s is not supported", origin, key)
		}
	}
	var err error
	cfg.options, err = json.Marshal(object)
	return cfg, err
}

// take moves one key of an object into v.
func take(object map[string]json.RawMessage, key string, v any) error {
	raw, ok := object[key]
	delete(object, key)
	if !ok {
		return nil
	}
	return json.Unmarshal(raw, v)
}

// flagLayer is the layer of the command line.
func flagLayer(c *cli.Context) (options.Layer, error) {
	const origin = "the command line"
	object, direct, err := optionsFromFlags(c)
	if err != nil {
		return options.Layer{}, err
	}
	layer, _, err := options.FromJSON(object, origin)
	if err != nil {
		return options.Layer{}, withCode(exitOther, err)
	}
	layer.ConsoleOutput, layer.LocalIPs = direct.ConsoleOutput, direct.LocalIPs
	return layer, nil
}

// consolidate puts the layers of a test together: configuration file, script, environment, command line, each above
// the one before. Warnings go to the log.
func consolidate(c *cli.Context, cfg configFile, script json.RawMessage, name string, lookup lookupFunc, log *slog.Logger) (options.Options, error) {
	layers := make([]options.Layer, 0, 4)
	for _, object := range []struct {
		data   json.RawMessage
		origin string
		read   func([]byte, string) (options.Layer, []string, error)
	}{{cfg.options, cfg.origin, options.FromConfig}, {script, name + ": options", options.FromJSON}} {
		if object.data == nil {
			continue
		}
		layer, warnings, err := object.read(object.data, object.origin)
		warn(log, warnings)
		if err != nil {
			return options.Options{}, withCode(exitConfig, err)
		}
		layers = append(layers, layer)
	}
	env, err := options.FromEnv(lookup)
	if err != nil {
		return options.Options{}, withCode(exitConfig, err)
	}
	flags, err := flagLayer(c)
	if err != nil {
		return options.Options{}, err
	}
	opts, warnings, err := options.Consolidate(append(layers, env, flags)...)
	warn(log, warnings)
	if err != nil {
		return options.Options{}, withCode(exitConfig, err)
	}
	if c.Bool("no-thresholds") {
		opts.Thresholds = nil
	}
	return opts, nil
}

func warn(log *slog.Logger, warnings []string) {
	for _, w := range warnings {
		log.Warn(w)
	}
}

// outputs are the --out specifications of the highest layer that has any: flags, environment, configuration file.
func outputs(c *cli.Context, cfg configFile, lookup lookupFunc) ([]outputSpec, error) {
	words := c.StringSlice("out")
	if len(words) == 0 {
		if v, ok := lookup("K6_OUT"); ok && v != "" {
			words = splitCommas([]string{v})
		} else {
			words = cfg.out
		}
	}
	var specs []outputSpec
	for _, word := range words {
		s, err := parseOutput(word)
		if err != nil {
			return nil, err
		}
		specs = append(specs, s)
	}
	return specs, nil
}

// checkSupported refuses what options ask for and hive cannot do yet.
func checkSupported(opts options.Options, remote bool) error {
	if opts.Paused {
		return configError("paused: a run cannot be started paused yet: nothing could resume it")
	}
	if remote && (opts.ExecutionSegment != "" || opts.ExecutionSegmentSequence != "") {
		return configError("executionSegment picks a part of a local run; in a hive the leader deals the parts: leave it out with --remote")
	}
	if remote && opts.LocalIPs != "" {
		return configError("localIPs names addresses of one machine: it cannot be used with --remote")
	}
	return nil
}
