package summary

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"hive/engine/metric"
)

// format writes a value in the unit of its metric. unit is the time unit asked for, if any.
func format(c metric.Contains, unit string, v float64) string {
	switch c {
	case metric.Data:
		return formatBytes(v)
	case metric.Time:
		return formatTime(unit, v)
	default:
		return formatNumber(v)
	}
}

// formatNumber writes a number with at most six decimals, as JavaScript would print it.
func formatNumber(v float64) string {
	if math.Abs(v) >= 1e21 {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'f', 6, 64), 64)
	if rounded == 0 {
		return "0"
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// formatPercent writes a share as a percentage, cut off (not rounded) after two decimals.
func formatPercent(share float64) string {
	return strconv.FormatFloat(math.Trunc(share*100*100)/100, 'f', 2, 64) + "%"
}

// formatBytes writes a number of bytes with a prefix of 1000s.
func formatBytes(v float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	abs, i := math.Abs(v), 0
	if abs < 10 {
		return formatShort(v, 0) + " B"
	}
	for i = 0; abs >= 1000 && i < len(units)-1; i++ {
		abs /= 1000
	}
	rounded := math.Floor(abs*10+0.5) / 10
	decimals := 0
	if rounded < 10 {
		decimals = 1
	}
	return formatShort(math.Copysign(rounded, v), decimals) + " " + units[i]
}

func formatShort(v float64, decimals int) string { return strconv.FormatFloat(v, 'f', decimals, 64) }

// formatTime writes milliseconds: in a fixed unit with two decimals, or in the largest unit that
// gives a number above one, cut off after two decimals.
func formatTime(unit string, ms float64) string {
	switch unit {
	case "s":
		return formatShort(ms/1000, 2) + "s"
	case "ms":
		return formatShort(ms, 2) + "ms"
	case "us":
		return formatShort(ms*1000, 2) + "µs"
	}
	switch {
	case ms == 0:
		return "0s"
	case ms < 0.001:
		return formatShort(math.Trunc(ms*1e6), 0) + "ns"
	case ms < 1:
		return cut(ms*1000) + "µs"
	case ms < 1000:
		return cut(ms) + "ms"
	case ms < 60_000:
		return cut(ms/1000) + "s"
	}
	return clock(ms / 1000)
}

// cut writes a number with at most two decimals, the rest cut off.
func cut(v float64) string { return strconv.FormatFloat(math.Trunc(v*100)/100, 'f', -1, 64) }

// clock writes seconds from a minute on as "1h2m3s".
func clock(seconds float64) string {
	whole := math.Trunc(seconds)
	minutes := math.Floor(whole / 60)
	s := formatShort(whole-minutes*60, 0) + "s"
	if minutes < 60 {
		return formatShort(minutes, 0) + "m" + s
	}
	hours := math.Floor(minutes / 60)
	return formatShort(hours, 0) + "h" + formatShort(minutes-hours*60, 0) + "m" + s
}

// outOf is how rates and checks tell their counts.
func outOf(part, total uint64) string { return fmt.Sprintf("%d out of %d", part, total) }

// pad fills s with blanks up to a width in characters.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-len([]rune(s))))
}
