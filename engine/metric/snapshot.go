package metric

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// Snapshot is the cumulative state of all series at one moment. Snapshots are values: nothing
// records into them.
type Snapshot struct {
	Series []Series // sorted by metric, tags and submetrics
}

// Series is the state of one metric, tag set and set of submetrics.
type Series struct {
	Metric     string
	Kind       Kind
	Contains   Contains
	Tags       []Tag    // sorted by key
	Submetrics []string // keys of the declared submetrics that it is part of
	First      time.Time

	state state
}

// Aggregate returns the series' own values.
func (s *Series) Aggregate() *Aggregate {
	f := folder{name: s.Metric}
	f.add(s)
	return f.aggregate()
}

// Merge returns the state of several machines together: counters and rates are added, trends keep
// the distribution of all values, the gauges that count VUs are added second by second and of other
// gauges the last value counts. The snapshots are left as they are. Every sample must be in only
// one of them.
func Merge(snaps ...*Snapshot) *Snapshot {
	m := newMerger()
	for _, s := range snaps {
		if s == nil {
			continue
		}
		for i := range s.Series {
			m.addSeries(&s.Series[i])
		}
	}
	return m.snapshot()
}

// merger collects series by what identifies them.
type merger struct {
	series map[string]*merged
	key    []byte
}

type merged struct {
	Series
	gauges []*gauge // of several machines, to be added up
}

func newMerger() *merger { return &merger{series: map[string]*merged{}} }

// addCell adds the series of one tag set; its shard's lock is held.
func (m *merger) addCell(c *cell) {
	for i := range c.slots {
		sl := &c.slots[i]
		for _, p := range sl.parts {
			e, fresh := m.entry(sl.metric.Name, sl.metric.Kind, sl.metric.Contains, c.tags.pairs, sl.submetrics(p))
			first := time.Unix(0, p.first)
			if fresh {
				e.First, e.state = first, p.state.clone()
				continue
			}
			e.First = earlier(e.First, first)
			e.state.merge(&p.state)
		}
	}
}

// addSeries adds a series of another snapshot.
func (m *merger) addSeries(s *Series) {
	e, fresh := m.entry(s.Metric, s.Kind, s.Contains, s.Tags, s.Submetrics)
	if s.state.gauge != nil && s.state.gauge.history != nil {
		if s.state.gauge.set {
			e.gauges = append(e.gauges, s.state.gauge)
		}
	} else if fresh {
		e.state = s.state.clone()
	} else {
		e.state.merge(&s.state)
	}
	if fresh {
		e.First = s.First
	}
	e.First = earlier(e.First, s.First)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// entry finds or makes what is collected of a series.
func (m *merger) entry(name string, k Kind, c Contains, tags []Tag, subs []string) (e *merged, fresh bool) {
	m.key = append(m.key[:0], byte(k), byte(c))
	m.key = appendString(m.key, name)
	m.key = binary.AppendUvarint(m.key, uint64(len(tags)))
	for _, t := range tags {
		m.key = appendString(appendString(m.key, t.Key), t.Value)
	}
	for _, s := range subs {
		m.key = appendString(m.key, s)
	}
	if e := m.series[string(m.key)]; e != nil {
		return e, false
	}
	e = &merged{Series: Series{Metric: name, Kind: k, Contains: c, Tags: tags, Submetrics: subs}}
	m.series[string(m.key)] = e
	return e, true
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (m *merger) snapshot() *Snapshot {
	s := &Snapshot{Series: make([]Series, 0, len(m.series))}
	for _, e := range m.series {
		if len(e.gauges) > 0 {
			e.state.gauge = addGauges(e.gauges)
		}
		s.Series = append(s.Series, e.Series)
	}
	slices.SortFunc(s.Series, compareSeries)
	return s
}

func compareSeries(a, b Series) int {
	return cmp.Or(
		strings.Compare(a.Metric, b.Metric),
		slices.CompareFunc(a.Tags, b.Tags, compareTags),
		slices.Compare(a.Submetrics, b.Submetrics),
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Contains, b.Contains),
	)
}

func compareTags(a, b Tag) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
}
