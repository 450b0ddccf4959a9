package summary

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"hive/engine/metric"
)

// Text writes the summary for people, as k6 lays it out, in one of the modes. color asks for
// terminal colours.
func Text(w io.Writer, in Input, mode string, color bool) error {
	if mode == Disabled {
		return nil
	}
	p := &printer{in: &in, full: mode == Full, paint: color}
	p.line("")
	p.thresholds()
	p.section("", "TOTAL RESULTS", in.entries(), checks(in.View))
	if p.full {
		p.scenarios()
	}
	if in.Hive != nil {
		p.hive(in.Hive)
	}
	p.line("")
	p.line("")
	_, err := w.Write(p.buf.Bytes())
	return err
}

// printer builds the text.
type printer struct {
	in    *Input
	full  bool
	paint bool
	buf   bytes.Buffer
}

// Styles of a terminal.
const (
	bold  = "1"
	red   = "31"
	green = "32"
	white = "37"
	cyan  = "36"
	faint = "2;"
)

func (p *printer) style(code, s string) string {
	if !p.paint {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *printer) line(parts ...string) {
	for _, s := range parts {
		p.buf.WriteString(s)
	}
	p.buf.WriteByte('\n')
}

func (p *printer) title(name string) {
	p.line("")
	p.line("  █ ", p.style(bold, name), " ")
	p.line("")
}

// thresholds writes what became of the thresholds, those of submetrics below their metric's.
func (p *printer) thresholds() {
	results := p.in.Judgement.Results
	keys := slices.Sorted(maps.Keys(results))
	keys = slices.DeleteFunc(keys, func(key string) bool { return len(results[key]) == 0 })
	if len(keys) == 0 {
		return
	}
	slices.SortStableFunc(keys, func(a, b string) int { // "a{x:y}" right after "a", before "a_b"
		return strings.Compare(strings.Replace(a, "{", "\x00", 1), strings.Replace(b, "{", "\x00", 1))
	})
	p.title("THRESHOLDS")
	all := p.in.entries()
	for _, key := range keys {
		indent, name := "    ", key
		if parent, suffix, ok := strings.Cut(key, "{"); ok && len(results[parent]) > 0 {
			indent, name = "      ", "{"+suffix
		}
		p.line(indent, name)
		for _, r := range results[key] {
			mark := p.style(green, "✓")
			if !r.OK {
				mark = p.style(red, "✗")
			}
			value := p.observed(all[key], r.Agg, r.Left)
			p.line(indent, mark, " ", p.style(white, "'"+r.Source+"'"), " ", p.style(white, r.Agg), "=", p.style(cyan, value))
		}
		p.line("")
	}
}

func (p *printer) observed(a *metric.Aggregate, agg string, v float64) string {
	switch {
	case a == nil:
		return formatNumber(v)
	case a.Kind == metric.Rate:
		return formatPercent(v)
	case a.Kind == metric.Counter && agg == "rate":
		return p.format(a, v) + "/s"
	default:
		return p.format(a, v)
	}
}

func (p *printer) format(a *metric.Aggregate, v float64) string {
	return format(a.Contains, p.in.TimeUnit, v)
}

// section writes one part of the results under its title: the totals, a scenario or a group.
func (p *printer) section(indent, name string, all map[string]*metric.Aggregate, list []check) {
	if indent == "" {
		p.title(name)
	} else {
		p.line("  ", indent, "↳ ", p.style(bold, name), " ")
		p.line("")
	}
	if a := all["checks"]; a != nil {
		p.checks(indent, a, list)
	}
	p.blocks(indent, all)
}

// checks writes the totals of the checks and a line for each of them.
func (p *printer) checks(indent string, a *metric.Aggregate, list []check) {
	fails := a.Total - a.Trues
	failed := &metric.Aggregate{Kind: metric.Rate, Trues: fails, Total: a.Total}
	total := &metric.Aggregate{Kind: metric.Counter, Sum: float64(a.Total)}
	p.table(indent, []row{
		p.row("checks_total", total), p.row("checks_succeeded", a), p.row("checks_failed", failed),
	}, nil)
	p.line("")
	for _, c := range list {
		if c.fails == 0 {
			p.line(indent, "    ", p.style(green, "✓ "+c.name))
			continue
		}
		percent := math.Floor(100 * float64(c.passes) / float64(c.passes+c.fails))
		p.line(indent, "    ", p.style(red, "✗ "+c.name))
		p.line(indent, indent, "      ", p.style(red, fmt.Sprintf("↳  %.0f%% — ✓ %d / ✗ %d", percent, c.passes, c.fails)))
	}
	p.line("")
}

// scenarios writes the sections of groups and of scenarios by name. What runs in the scenario that
// stands for the options without any has no section of its own, only its groups have.
func (p *printer) scenarios() {
	named := map[string]*metric.View{}
	for _, part := range p.in.View.Split("scenario") {
		name := part.Values[0]
		if name != "" && name != "default" {
			named[name] = part.View
			continue
		}
		for _, g := range groupTree(part.View).groups {
			if name != "" || (g.path != "::setup" && g.path != "::teardown") {
				p.group("", g)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		p.section("", "SCENARIO: "+name, totals(named[name]), checks(named[name]))
		for _, g := range groupTree(named[name]).groups {
			p.group("  ", g)
		}
	}
}

func (p *printer) group(indent string, g *group) {
	all := map[string]*metric.Aggregate{}
	if g.view != nil {
		all = totals(g.view)
	}
	p.section(indent, "GROUP: "+g.name, all, g.checks)
	for _, c := range g.groups {
		p.group(indent+"  ", c)
	}
}

// totals are the metrics of a view without its submetrics.
func totals(v *metric.View) map[string]*metric.Aggregate {
	all := map[string]*metric.Aggregate{}
	for _, key := range v.Keys() {
		if !strings.Contains(key, "{") {
			all[key] = v.Get(key)
		}
	}
	return all
}
