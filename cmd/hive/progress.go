package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"hive/hive"
)

// progress is how far a run is, on one machine or over a whole hive, as it is shown.
type progress struct {
	hive.Progress
	Phase hive.Phase
	Nodes int // 0 for a local run
}

const barWidth = 38 // columns between the brackets, where the terminal has room

// status is the line that tells the whole run in numbers.
func (p progress) status() string {
	line := fmt.Sprintf("%s (%s), %d/%d VUs, %d complete and %d interrupted iterations",
		cmp.Or(p.Phase, hive.Running), clock(p.Elapsed), p.VUs, p.VUsMax, p.Iterations, p.Interrupted)
	if p.Dropped > 0 {
		line += fmt.Sprintf(", %d dropped", p.Dropped)
	}
	if p.Nodes > 0 {
		line += fmt.Sprintf(", %d %s", p.Nodes, plural(p.Nodes, "node"))
	}
	return line
}

// clock writes a duration as 01.0s, 2m03.4s or 1h00m07.0s.
func clock(d time.Duration) string {
	d = max(0, d.Truncate(100*time.Millisecond))
	hours, minutes := int(d.Hours()), int(d.Minutes())%60
	seconds := (d % time.Minute).Seconds()
	switch {
	case hours > 0:
		return fmt.Sprintf("%dh%02dm%04.1fs", hours, minutes, seconds)
	case minutes > 0:
		return fmt.Sprintf("%dm%04.1fs", minutes, seconds)
	default:
		return fmt.Sprintf("%04.1fs", seconds)
	}
}

// lines are the bars without a terminal: one line for each scenario.
func (p progress) lines() string {
	var b strings.Builder
	b.WriteString(p.status() + "\n")
	for _, s := range p.Scenarios {
		fmt.Fprintf(&b, "%s %s [%4.0f%% ] %s\n", p.padded(s.Name), mark(s), percent(s), s.Text)
	}
	return b.String()
}

// block is the live bars on a terminal of the given width. No line is wider than that, so that it can be drawn over.
func (p progress) block(width int, color bool) string {
	var b strings.Builder
	b.WriteString("\n" + clip(p.status(), width-1) + "\n")
	for _, s := range p.Scenarios {
		left := p.padded(s.Name) + " " + mark(s) + " ["
		room := min(barWidth, width-1-utf8.RuneCountInString(left)-len("] ")-utf8.RuneCountInString(s.Text))
		if room < 5 {
			b.WriteString(clip(fmt.Sprintf("%s%4.0f%% ] %s", left, percent(s), s.Text), width-1) + "\n")
			continue
		}
		done, rest := bar(s, room)
		b.WriteString(left + done + paint(color, faint, rest) + "] " + s.Text + "\n")
	}
	return b.String()
}

func (p progress) padded(name string) string {
	longest := 6
	for _, s := range p.Scenarios {
		longest = max(longest, utf8.RuneCountInString(s.Name))
	}
	return name + strings.Repeat(" ", max(0, longest-utf8.RuneCountInString(name)))
}

func mark(s hive.ScenarioProgress) string {
	switch {
	case s.Fraction >= 1 && s.VUs == 0:
		return "✓"
	case strings.HasPrefix(s.Text, "waiting"):
		return "•"
	default:
		return " "
	}
}

// percent is rounded down, so that 100 means the end.
func percent(s hive.ScenarioProgress) float64 {
	return float64(int(100 * min(1, max(0, s.Fraction))))
}

func bar(s hive.ScenarioProgress, width int) (done, rest string) {
	n := int(float64(width) * min(1, max(0, s.Fraction)))
	if n == 0 || n == width {
		return strings.Repeat("=", n), strings.Repeat("-", width-n)
	}
	return strings.Repeat("=", n-1) + ">", strings.Repeat("-", width-n)
}

func clip(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width])
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
