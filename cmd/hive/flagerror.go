package main

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"
)

// badValue is how the flag package words a value that a flag cannot take.
var badValue = regexp.MustCompile(`^invalid (?:boolean )?value ("(?:[^"\\]|\\.)*") for (?:flag )?-([\w-]+): `)

// flagError says of a flag with a value that it cannot take what would be right.
func flagError(flags []cli.Flag, err error) error {
	m := badValue.FindStringSubmatch(err.Error())
	if m == nil {
		return usageError("%w", err)
	}
	value, quoteErr := strconv.Unquote(m[1])
	if quoteErr != nil {
		return usageError("%w", err)
	}
	for _, f := range flags {
		if want := wanted(f); want != "" && slices.Contains(f.Names(), m[2]) {
			return usageError("--%s: want %s, found %q", f.Names()[0], want, value)
		}
	}
	return usageError("%w", err)
}

// wanted is what a flag takes, in words; empty where anything goes.
func wanted(f cli.Flag) string {
	switch f.(type) {
	case *cli.BoolFlag:
		return "true or false"
	case *cli.IntFlag, *cli.Int64Flag, *cli.UintFlag, *cli.Uint64Flag:
		return "a whole number"
	case *cli.Float64Flag:
		return "a number"
	case *cli.DurationFlag:
		return "a time with a unit, as 5s or 1m30s"
	}
	return ""
}
