package metric

import (
	"fmt"
	"strconv"
	"strings"
)

// Selector names a metric and the tags a sample must have to belong to one of its submetrics.
type Selector struct {
	Metric string
	Tags   []Tag // none: the whole metric

	suffix string // what was written between the braces
}

// Key is the name under which the metric or submetric is reported: the selector as it was written,
// without blanks at the edges.
func (s Selector) Key() string {
	if len(s.Tags) == 0 {
		return s.Metric
	}
	return s.Metric + "{" + s.suffix + "}"
}

// Suffix is what stands between the braces; "" when there are none.
func (s Selector) Suffix() string { return s.suffix }

// ParseSelector reads "metric" or "metric{tag:value,tag:value}". Blanks and quotes around tags and
// values are dropped; values cannot contain commas.
func ParseSelector(key string) (Selector, error) {
	name, rest, braces := strings.Cut(key, "{")
	sel := Selector{Metric: strings.TrimSpace(name)}
	if sel.Metric == "" {
		return Selector{}, fmt.Errorf("the metric's name is missing in %q", key)
	}
	if !braces {
		return sel, nil
	}
	body, closed := strings.CutSuffix(strings.TrimSpace(rest), "}")
	if !closed {
		return Selector{}, fmt.Errorf("%q must end with }", key)
	}
	sel.suffix = strings.TrimSpace(body)
	if sel.suffix == "" {
		return Selector{}, fmt.Errorf("%q selects no tags: write %s or %s{tag:value}", key, sel.Metric, sel.Metric)
	}
	for part := range strings.SplitSeq(sel.suffix, ",") {
		tag, value, _ := strings.Cut(part, ":")
		tag, value = unquote(tag), unquote(value)
		if tag == "" || value == "" {
			return Selector{}, fmt.Errorf("%q in %q must be of the form tag:value", strings.TrimSpace(part), key)
		}
		sel.Tags = append(sel.Tags, Tag{tag, value})
	}
	return sel, nil
}

func unquote(s string) string { return strings.Trim(strings.TrimSpace(s), `"'`) }

// submetric is a declared selector.
type submetric struct {
	key    string
	tags   []Tag // matched against the tag set
	extras []Tag // matched against Extra, one by one as values are recorded
}

// maxExtras bounds the submetrics of one metric that look at Extra, since which of them a sample
// belongs to is kept in the bits of one word.
const maxExtras = 64

// Submetric declares that samples of key, such as "http_req_duration{status:200}", are to be kept
// apart. It must be called before recording starts; series that exist already are not split.
// Declaring a key twice is no error.
func (r *Registry) Submetric(key string) error {
	sel, err := ParseSelector(key)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.byName[sel.Metric]
	if m == nil {
		return fmt.Errorf("there is no metric named %q", sel.Metric)
	}
	if len(sel.Tags) == 0 {
		return nil
	}
	sub := &submetric{key: sel.Key()}
	for _, tag := range sel.Tags {
		switch tag.Key {
		case "url", "vu", "iter":
			sub.extras = append(sub.extras, tag)
		default:
			sub.tags = append(sub.tags, tag)
		}
	}
	extras := len(sub.extras)
	for _, s := range r.subs[m.ID] {
		if s.key == sub.key {
			return nil
		}
		if len(s.extras) > 0 {
			extras++
		}
	}
	if len(sub.extras) > 0 && extras > maxExtras+1 {
		return fmt.Errorf("more than %d submetrics of %s select by url, vu or iter", maxExtras, m.Name)
	}
	r.subs[m.ID] = append(r.subs[m.ID], sub)
	return nil
}

// Submetrics returns the declared submetric keys of m, in order of declaration.
func (r *Registry) Submetrics(m *Metric) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var keys []string
	for _, s := range r.subs[m.ID] {
		keys = append(keys, s.key)
	}
	return keys
}

// matching returns the submetrics of m to which samples with these tags always belong, and those
// to which they belong if the Extra fits.
func (r *Registry) matching(m *Metric, ts *TagSet) (always []string, maybe []*submetric) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range r.subs[m.ID] {
		switch {
		case !s.matchesTags(ts):
		case s.undecided(ts):
			maybe = append(maybe, s)
		case s.matchesExtra(ts, Extra{}):
			always = append(always, s.key)
		}
	}
	return always, maybe
}

func (s *submetric) matchesTags(ts *TagSet) bool {
	for _, want := range s.tags {
		if v, ok := ts.Get(want.Key); !ok || v != want.Value {
			return false
		}
	}
	return true
}

// undecided says whether the match depends on the Extra: it does unless the set itself has all the
// tags in question.
func (s *submetric) undecided(ts *TagSet) bool {
	for _, want := range s.extras {
		if _, ok := ts.Get(want.Key); !ok {
			return true
		}
	}
	return false
}

func (s *submetric) matchesExtra(ts *TagSet, x Extra) bool {
	for _, want := range s.extras {
		got, ok := ts.Get(want.Key)
		switch {
		case ok:
			ok = got == want.Value
		case want.Key == "url":
			ok = x.URL != "" && x.URL == want.Value
		case want.Key == "vu":
			ok = x.VU != 0 && isDecimal(want.Value, x.VU)
		default:
			ok = x.VU != 0 && isDecimal(want.Value, x.Iter)
		}
		if !ok {
			return false
		}
	}
	return true
}

// isDecimal says whether s is n in decimal digits, without allocating.
func isDecimal(s string, n int64) bool {
	var buf [20]byte
	return s == string(strconv.AppendInt(buf[:0], n, 10))
}
