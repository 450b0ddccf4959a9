package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// gauge is one thing that is measured again and again.
type gauge struct {
	name string
	unit string
	// least is by how much more than a third growth must be to count: what is small may vary.
	least float64
	// limit is what it may come to by design; 0 means that it must not grow.
	limit  float64
	values []float64
}

// gauges are all of them, in the order in which they were first seen.
type gauges struct {
	mu    sync.Mutex
	began time.Time
	all   []*gauge
}

func newGauges() *gauges { return &gauges{began: time.Now()} }

// add notes a value; name, unit and bounds are those of the first time.
func (g *gauges) add(name, unit string, least, limit, value float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.IndexFunc(g.all, func(o *gauge) bool { return o.name == name })
	if i < 0 {
		i = len(g.all)
		g.all = append(g.all, &gauge{name: name, unit: unit, least: least, limit: limit})
	}
	g.all[i].values = append(g.all[i].values, value)
}

// growth is how much more the last third may be than the middle third.
const growth = 1.3

// judge says what grew without bound.
func (g *gauges) judge() (problems []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.all {
		if p := m.judge(); p != "" {
			problems = append(problems, p)
		}
	}
	return problems
}

func (m *gauge) judge() string {
	_, middle, last := m.thirds()
	most := slices.Max(m.values)
	switch {
	case m.limit > 0 && most > m.limit:
		return fmt.Sprintf("%s came to %s, and may not be more than %s", m.name, m.show(most), m.show(m.limit))
	case m.limit == 0 && len(m.values) >= 9 && last > growth*middle && last-middle > m.least:
		return fmt.Sprintf("%s grows: %s in the middle third, %s in the last", m.name, m.show(middle), m.show(last))
	}
	return ""
}

// thirds are the means of the three thirds of the time.
func (m *gauge) thirds() (first, middle, last float64) {
	n := len(m.values)
	return mean(m.values[:n/3]), mean(m.values[n/3 : 2*n/3]), mean(m.values[2*n/3:])
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(1, len(values)))
}

func (m *gauge) show(v float64) string { return fmt.Sprintf("%.1f %s", v, m.unit) }

// table shows all gauges: the three thirds, the most, and the growth per hour.
func (g *gauges) table() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	hours := time.Since(g.began).Hours()
	lines := []string{fmt.Sprintf("%-38s %10s %10s %10s %10s %12s", "mean of each third of the time", "first", "middle", "last", "most", "growth/hour")}
	for _, m := range g.all {
		first, middle, last := m.thirds()
		lines = append(lines, fmt.Sprintf("%-38s %10.1f %10.1f %10.1f %10.1f %12.1f %s", m.name, first, middle, last, slices.Max(m.values), (last-middle)/(hours/3), m.unit))
	}
	return lines
}
