package csv

import (
	"fmt"
	"io"
	"strings"
	"time"

	"hive/engine/metric"
)

// Config says where the rows go and how they look.
type Config struct {
	FileName     string        // output.Stdout: Stdout; compressed when it ends in .gz
	SaveInterval time.Duration // between writes
	TimeFormat   string        // one of TimeFormats

	Stdout io.Writer         // the process' standard output
	Tags   metric.SystemTags // those that get a column of their own
}

// DefaultConfig is what holds when nothing is asked for.
func DefaultConfig() Config {
	return Config{FileName: "file.csv", SaveInterval: time.Second, TimeFormat: "unix", Tags: metric.DefaultSystemTags}
}

// TimeFormats are the names of the formats of timestamps.
var TimeFormats = []string{"unix", "unix_milli", "unix_micro", "unix_nano", "rfc3339", "rfc3339_nano"}

// Parse returns the default configuration changed by K6_CSV_FILENAME, K6_CSV_SAVE_INTERVAL and
// K6_CSV_TIME_FORMAT, and then by arg, which is a file name or a list such as
// "fileName=a.csv,saveInterval=2s,timeFormat=rfc3339".
func Parse(arg string, lookup func(string) (string, bool)) (Config, error) {
	c := DefaultConfig()
	for env, key := range map[string]string{
		"K6_CSV_FILENAME": "fileName", "K6_CSV_SAVE_INTERVAL": "saveInterval", "K6_CSV_TIME_FORMAT": "timeFormat",
	} {
		if v, ok := lookup(env); ok && v != "" {
			if err := c.set(key, v); err != nil {
				return Config{}, fmt.Errorf("csv: %s: %w", env, err)
			}
		}
	}
	if arg != "" && !strings.Contains(arg, "=") {
		c.FileName = arg
		return c, nil
	}
	for pair := range strings.SplitSeq(arg, ",") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		if err := c.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return Config{}, fmt.Errorf("csv: argument %q: %w", pair, err)
		}
	}
	return c, nil
}

func (c *Config) set(key, value string) error {
	switch key {
	case "fileName":
		c.FileName = value
	case "saveInterval":
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("saveInterval must be a duration above zero such as 1s, not %q", value)
		}
		c.SaveInterval = d
	case "timeFormat":
		if err := checkFormat(value); err != nil {
			return err
		}
		c.TimeFormat = value
	default:
		return fmt.Errorf("unknown key %q, it must be fileName, saveInterval or timeFormat", key)
	}
	return nil
}

func checkFormat(name string) error {
	for _, f := range TimeFormats {
		if f == name {
			return nil
		}
	}
	return fmt.Errorf("timeFormat must be one of %s, not %q", strings.Join(TimeFormats, ", "), name)
}
