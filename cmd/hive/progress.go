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

	Paused  bool
	Unowned int         // slots that no node has room for
	Load    []hive.Load // planned and actual, by scenario
}

const barWidth = 38 // columns between the brackets, where the terminal has room

// status is the line that tells the whole run in numbers.
func (p progress) status() string {
	line := fmt.Sprintf("%s (%s), %d/%d VUs, %d complete and %d interrupted iterations",
		p.phase(), clock(p.Elapsed), p.VUs, p.VUsMax, p.Iterations, p.Interrupted)
	if p.Dropped > 0 {
		line += fmt.Sprintf(", %d dropped", p.Dropped)
	}
	if p.Nodes > 0 {
		line += fmt.Sprintf(", %d %s", p.Nodes, plural(p.Nodes, "node"))
	}
	if p.Unowned > 0 {
		line += fmt.Sprintf(", %d %s without a node", p.Unowned, plural(p.Unowned, "VU"))
	}
	return line
}

// phase is what the run is at, in a word.
func (p progress) phase() string {
	if p.Paused {
		return "paused"
	}
	return string(cmp.Or(p.Phase, hive.Running))
}

// text is what stands right of a scenario's bar: with the rate that it has and the one that it should have, where that
// is known.
func (p progress) text(s hive.ScenarioProgress) string {
	for _, l := range p.Load {
		if l.Scenario == s.Name && (l.Planned > 0 || l.Actual > 0) {
			return fmt.Sprintf("%s  %.1f of %.1f iters/s", s.Text, l.Actual, l.Planned)
		}
	}
	return s.Text
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
		fmt.Fprintf(&b, "%s %s [%4.0f%% ] %s\n", p.padded(s.Name), mark(s), percent(s), p.text(s))
	}
	return b.String()
}

// block is the live bars on a terminal of the given width. No line is wider than that, so that it can be drawn over.
func (p progress) block(width int, color bool) string {
	var b strings.Builder
	b.WriteString("\n" + clip(p.status(), width-1) + "\n")
	for _, s := range p.Scenarios {
		left := p.padded(s.Name) + " " + mark(s) + " ["
		text := p.text(s)
		room := min(barWidth, width-1-utf8.RuneCountInString(left)-len("] ")-utf8.RuneCountInString(text))
		if room < 5 {
			b.WriteString(clip(fmt.Sprintf("%s%4.0f%% ] %s", left, percent(s), text), width-1) + "\n")
			continue
		}
		done, rest := bar(s, room)
		b.WriteString(left + done + paint(color, faint, rest) + "] " + text + "\n")
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
