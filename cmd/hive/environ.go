package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"
)

// lookupFunc finds an environment variable, as os.LookupEnv does.
type lookupFunc func(name string) (string, bool)

var envName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// envFlags are the variables given with -e. A name without "=" is set to the empty string; the last of a name counts.
func envFlags(c *cli.Context) (map[string]string, error) {
	env := map[string]string{}
	for _, word := range c.StringSlice("env") {
		name, value, _ := strings.Cut(word, "=")
		if !envName.MatchString(name) {
			return nil, usageError("--env %s: invalid environment variable name %q: want letters, digits and _, not beginning with a digit", word, name)
		}
		env[name] = value
	}
	return env, nil
}

// scriptEnv is __ENV: the process's environment when asked for, overridden by the -e flags.
func scriptEnv(system []string, include bool, flags map[string]string) map[string]string {
	env := map[string]string{}
	if include {
		for _, entry := range system {
			if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
				env[name] = value
			}
		}
	}
	for name, value := range flags {
		env[name] = value
	}
	return env
}

// overlay looks in flags first: `-e K6_VUS=5` configures a test just as the variable does.
func overlay(flags map[string]string, under lookupFunc) lookupFunc {
	return func(name string) (string, bool) {
		if v, ok := flags[name]; ok {
			return v, true
		}
		return under(name)
	}
}

// defaultConfigFile is where options are looked for when --config is not given: hive's own file.
func defaultConfigFile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "hive", "config.json")
}

func defaultConfigText() string { return "config.json in hive's folder of the user's configuration" }

// readConfig returns the bytes of the config file and the name that errors give it. Only a file asked for must exist.
func readConfig(c *cli.Context) (data []byte, origin string, err error) {
	path := c.String("config")
	asked := path != ""
	if !asked {
		path = defaultConfigFile()
	}
	if path == "" {
		return nil, "", nil
	}
	data, err = os.ReadFile(path)
	if err != nil && (asked || !os.IsNotExist(err)) {
		return nil, path, configError("config file: %w", err)
	}
	return data, path, nil
}
