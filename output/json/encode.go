package json

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"hive/engine/metric"
)

// appendMetric appends the line that introduces a metric.
func appendMetric(b []byte, m *metric.Metric, subs []metric.Selector) []byte {
	b = append(b, `{"type":"Metric","data":{"name":`...)
	b = appendString(b, m.Name)
	b = append(b, `,"type":"`+m.Kind.String()+`","contains":"`+m.Contains.String()+`","thresholds":[],"submetrics":`...)
	b = appendSubmetrics(b, subs)
	b = append(b, `},"metric":`...)
	b = appendString(b, m.Name)
	return append(b, "}\n"...)
}

func appendSubmetrics(b []byte, subs []metric.Selector) []byte {
	if len(subs) == 0 {
		return append(b, "null"...)
	}
	for i, s := range subs {
		b = append(b, "[,"[min(i, 1)])
		b = appendString(append(b, `{"name":`...), s.Key())
		b = appendString(append(b, `,"suffix":`...), s.Suffix())
		b = appendTags(append(b, `,"tags":`...), sorted(s.Tags))
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendPoint appends the line of a sample.
func appendPoint(b []byte, s *metric.Sample, tags metric.SystemTags) []byte {
	b = appendString(append(b, `{"metric":`...), s.Metric.Name)
	b = append(b, `,"type":"Point","data":{"time":"`...)
	b = s.Time.AppendFormat(b, time.RFC3339Nano)
	b = appendNumber(append(b, `","value":`...), s.Value)
	b = appendTags(append(b, `,"tags":`...), allTags(s))
	if meta := metadata(s, tags); len(meta) > 0 {
		b = appendTags(append(b, `,"metadata":`...), meta)
	}
	return append(b, "}}\n"...)
}

// allTags are the tags of a sample with its URL among them.
func allTags(s *metric.Sample) []metric.Tag {
	pairs := s.Tags.Pairs()
	if s.Extra.URL == "" {
		return pairs
	}
	if _, ok := s.Tags.Get("url"); ok {
		return pairs
	}
	return sorted(append(slices.Clone(pairs), metric.Tag{Key: "url", Value: s.Extra.URL}))
}

func sorted(tags []metric.Tag) []metric.Tag {
	tags = slices.Clone(tags)
	slices.SortFunc(tags, func(a, b metric.Tag) int { return strings.Compare(a.Key, b.Key) })
	return tags
}

// metadata are the numbers of iteration and VU, as far as they are asked for and known.
func metadata(s *metric.Sample, tags metric.SystemTags) []metric.Tag {
	var meta []metric.Tag
	if s.Extra.VU == 0 {
		return nil
	}
	if tags.Has(metric.TagIter) {
		meta = append(meta, metric.Tag{Key: "iter", Value: strconv.FormatInt(s.Extra.Iter, 10)})
	}
	if tags.Has(metric.TagVU) {
		meta = append(meta, metric.Tag{Key: "vu", Value: strconv.FormatInt(s.Extra.VU, 10)})
	}
	return meta
}

// appendTags appends an object, or null when there are no tags.
func appendTags(b []byte, tags []metric.Tag) []byte {
	if len(tags) == 0 {
		return append(b, "null"...)
	}
	for i, t := range tags {
		b = append(b, "{,"[min(i, 1)])
		b = append(appendString(b, t.Key), ':')
		b = appendString(b, t.Value)
	}
	return append(b, '}')
}

// appendNumber appends a JSON number: infinities become the largest numbers there are, what is no
// number becomes null.
func appendNumber(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, "null"...)
	case math.IsInf(v, 0):
		v = math.Copysign(math.MaxFloat64, v)
	}
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(b, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

// appendString appends a JSON string. Unlike encoding/json it leaves &, < and > as they are.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return appendEscaped(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func appendEscaped(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string into memory cannot fail
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}
