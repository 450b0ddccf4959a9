package main

import "log/slog"

// Colours of the terminal, as SGR parameters.
const (
	red    = "31"
	yellow = "33"
	cyan   = "36"
	faint  = "2"
)

// paint wraps s in a colour when on.
func paint(on bool, color, s string) string {
	if !on || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func levelColor(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return red
	case l >= slog.LevelWarn:
		return yellow
	case l >= slog.LevelInfo:
		return cyan
	default:
		return faint
	}
}

// colorAllowed says whether flags and environment leave colours on: any non-empty K6_NO_COLOR and any NO_COLOR at all
// turn them off.
func colorAllowed(noColor bool, lookup lookupFunc) bool {
	if v, ok := lookup("K6_NO_COLOR"); ok && v != "" {
		return false
	}
	_, ok := lookup("NO_COLOR")
	return !ok && !noColor
}
