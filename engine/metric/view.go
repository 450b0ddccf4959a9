package metric

import (
	"cmp"
	"slices"
	"time"
)

// Aggregate is the state of a metric, a submetric or a group, folded over its series. Which fields
// have a meaning depends on Kind.
type Aggregate struct {
	Name     string // the metric's name or the submetric's key
	Kind     Kind
	Contains Contains
	First    time.Time // of the first sample
	Ignored  uint64    // values that were not numbers

	Sum            float64 // counter
	Last, Min, Max float64 // gauge
	Trues, Total   uint64  // rate
	Sketch         *Sketch // trend; not to be changed
}

// View is a snapshot folded for reading. It is safe for concurrent use.
type View struct {
	snap *Snapshot
	keys []string
	all  map[string]*Aggregate
}

// NewView folds a snapshot into totals per metric and per declared submetric. The snapshot must not
// be changed afterwards.
func NewView(s *Snapshot) *View {
	folders := map[string]*folder{}
	into := func(key string, series *Series) {
		f := folders[key]
		if f == nil {
			f = &folder{name: key}
			folders[key] = f
		}
		f.add(series)
	}
	for i := range s.Series {
		series := &s.Series[i]
		into(series.Metric, series)
		for _, sub := range series.Submetrics {
			into(sub, series)
		}
	}
	v := &View{snap: s, all: map[string]*Aggregate{}}
	for key, f := range folders {
		v.keys = append(v.keys, key)
		v.all[key] = f.aggregate()
	}
	slices.Sort(v.keys)
	return v
}

// Without is the view of everything but one metric.
func (v *View) Without(metric string) *View {
	if v.all[metric] == nil {
		return v
	}
	series := slices.DeleteFunc(slices.Clone(v.snap.Series), func(s Series) bool { return s.Metric == metric })
	return NewView(&Snapshot{Series: series})
}

// Keys are the metric names and submetric keys that have samples, sorted.
func (v *View) Keys() []string { return slices.Clone(v.keys) }

// Get returns the aggregate of a metric name or submetric key; nil when it has no samples.
func (v *View) Get(key string) *Aggregate { return v.all[key] }

// Group is the part of a metric whose samples share the values of some tags.
type Group struct {
	Values []string // of the tags asked for; "" for a tag that the samples do not have
	*Aggregate
}

// GroupBy folds the series of a metric by their values of tags, ordered by the first sample, then by
// the values.
func (v *View) GroupBy(metric string, tags ...string) []Group {
	folders := map[string]*folder{}
	values := map[string][]string{}
	var key []byte
	for i := range v.snap.Series {
		s := &v.snap.Series[i]
		if s.Metric != metric {
			continue
		}
		vals := make([]string, len(tags))
		key = key[:0]
		for j, tag := range tags {
			vals[j] = s.tag(tag)
			key = appendString(key, vals[j])
		}
		f := folders[string(key)]
		if f == nil {
			f = &folder{name: metric}
			folders[string(key)], values[string(key)] = f, vals
		}
		f.add(s)
	}
	groups := make([]Group, 0, len(folders))
	for k, f := range folders {
		groups = append(groups, Group{Values: values[k], Aggregate: f.aggregate()})
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(a.First.Compare(b.First), slices.Compare(a.Values, b.Values))
	})
	return groups
}

func (s *Series) tag(key string) string {
	for _, t := range s.Tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

// Part is a View of only the series that share the values of some tags.
type Part struct {
	Values []string // of the tags asked for; "" for a tag that the samples do not have
	First  time.Time
	*View
}

// Split divides all series by their values of tags, ordered by the first sample, then by the values.
func (v *View) Split(tags ...string) []Part {
	snaps := map[string]*Snapshot{}
	parts := []Part{}
	var key []byte
	for _, s := range v.snap.Series {
		values := make([]string, len(tags))
		key = key[:0]
		for j, tag := range tags {
			values[j] = s.tag(tag)
			key = appendString(key, values[j])
		}
		snap := snaps[string(key)]
		if snap == nil {
			snap = &Snapshot{}
			snaps[string(key)] = snap
			parts = append(parts, Part{Values: values, First: s.First, View: &View{snap: snap}})
		}
		snap.Series = append(snap.Series, s)
	}
	for i, p := range parts {
		for _, s := range p.snap.Series {
			parts[i].First = earlier(parts[i].First, s.First)
		}
		parts[i].View = NewView(p.snap)
	}
	slices.SortFunc(parts, func(a, b Part) int {
		return cmp.Or(a.First.Compare(b.First), slices.Compare(a.Values, b.Values))
	})
	return parts
}

// folder adds up series. It copies a state only when it has to change it.
type folder struct {
	name   string
	first  *Series
	when   time.Time
	state  *state // nil while first is the only one
	gauges []*gauge
}

func (f *folder) add(s *Series) {
	if g := s.state.gauge; g != nil && g.set && g.history != nil {
		f.gauges = append(f.gauges, g)
	}
	if f.first == nil {
		f.first, f.when = s, s.First
		return
	}
	f.when = earlier(f.when, s.First)
	if f.state == nil {
		c := f.first.state.clone()
		f.state = &c
	}
	f.state.merge(&s.state)
}

func (f *folder) aggregate() *Aggregate {
	s := f.state
	if s == nil {
		s = &f.first.state
	}
	a := &Aggregate{
		Name: f.name, Kind: f.first.Kind, Contains: f.first.Contains, First: f.when,
		Sum: s.total.float(), Trues: s.trues, Total: s.count, Sketch: s.sketch, Ignored: s.ignored,
	}
	g := s.gauge
	if len(f.gauges) > 1 {
		g = addGauges(f.gauges)
	}
	if g != nil {
		a.Last, a.Min, a.Max = g.last, g.min, g.max
	}
	if a.Sketch != nil {
		a.Ignored += a.Sketch.Ignored()
	}
	return a
}
