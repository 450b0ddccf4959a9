package main

import (
	"errors"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestFlagErrorsSayWhatIsRight(t *testing.T) {
	flags := []cli.Flag{&cli.IntFlag{Name: "vus", Aliases: []string{"u"}}, &cli.DurationFlag{Name: "lease-ttl"}, &cli.BoolFlag{Name: "derate"}}
	for text, want := range map[string]string{
		`invalid value "x" for flag -vus: parse error`:         `--vus: want a whole number, found "x"`,
		`invalid value "a\"b" for flag -u: parse error`:        `--vus: want a whole number, found "a\"b"`,
		`invalid value "5" for flag -lease-ttl: parse error`:   `--lease-ttl: want a time with a unit, as 5s or 1m30s, found "5"`,
		`invalid boolean value "foo" for -derate: parse error`: `--derate: want true or false, found "foo"`,
		`invalid value "x" for flag -other: parse error`:       `invalid value "x" for flag -other: parse error`,
		`flag provided but not defined: -nothing`:              `flag provided but not defined: -nothing`,
		`invalid value "unfinished for flag -vus: parse error`: `invalid value "unfinished for flag -vus: parse error`,
	} {
		if got := flagError(flags, errors.New(text)).Error(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
