// Package csv writes every sample as a row of a CSV file, with k6's columns.
package csv

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"hive/engine/metric"
	"hive/output"
)

// Output is an output.Output.
type Output struct {
	cfg     Config
	columns []string // the system tags, sorted
	queue   *output.Queue
	file    io.WriteCloser
	rows    *csv.Writer
}

// New returns an output that is not started yet.
func New(cfg Config) *Output {
	o := &Output{cfg: cfg, columns: (cfg.Tags &^ (metric.TagVU | metric.TagIter)).Names()}
	slices.Sort(o.columns)
	o.queue = output.NewQueue(cfg.SaveInterval, o.write)
	return o
}

// Description implements output.Output.
func (o *Output) Description() string {
	if o.cfg.FileName == "" || o.cfg.FileName == output.Stdout {
		return "csv (stdout)"
	}
	return fmt.Sprintf("csv (%s)", o.cfg.FileName)
}

// Start creates the file and writes the header.
func (o *Output) Start() error {
	if err := checkFormat(o.cfg.TimeFormat); err != nil {
		return fmt.Errorf("csv: %w", err)
	}
	f, err := output.Create(o.cfg.FileName, o.cfg.Stdout)
	if err != nil {
		return fmt.Errorf("csv: %w", err)
	}
	o.file, o.rows = f, csv.NewWriter(f)
	header := append([]string{"metric_name", "timestamp", "metric_value"}, o.columns...)
	if err := o.rows.Write(append(header, "extra_tags", "metadata")); err != nil {
		return errors.Join(fmt.Errorf("csv: %w", err), f.Close())
	}
	o.queue.Start()
	return nil
}

// Add implements output.Output.
func (o *Output) Add(samples []metric.Sample) { o.queue.Add(samples) }

// Stop writes the rest and closes the file.
func (o *Output) Stop(error) error {
	if o.file == nil {
		return nil
	}
	err := o.queue.Stop()
	o.rows.Flush()
	if err := errors.Join(err, o.rows.Error(), o.file.Close()); err != nil {
		return fmt.Errorf("csv: %w", err)
	}
	return nil
}

func (o *Output) write(samples []metric.Sample) error {
	row := make([]string, 0, len(o.columns)+5)
	for i := range samples {
		s := &samples[i]
		row = append(row[:0], s.Metric.Name, o.timestamp(s.Time), strconv.FormatFloat(s.Value, 'f', 6, 64))
		for _, name := range o.columns {
			row = append(row, tag(s, name))
		}
		row = append(row, o.extraTags(s), o.metadata(s))
		if err := o.rows.Write(row); err != nil {
			return err
		}
	}
	o.rows.Flush()
	return o.rows.Error()
}

func tag(s *metric.Sample, name string) string {
	v, ok := s.Tags.Get(name)
	if !ok && name == "url" {
		return s.Extra.URL
	}
	return v
}

// extraTags are the tags without a column of their own, as k=v&k=v.
func (o *Output) extraTags(s *metric.Sample) string {
	var b strings.Builder
	for _, t := range s.Tags.Pairs() {
		if slices.Contains(o.columns, t.Key) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(t.Key + "=" + t.Value)
	}
	return b.String()
}

// metadata are the numbers of iteration and VU, as far as they are asked for and known.
func (o *Output) metadata(s *metric.Sample) string {
	var parts []string
	if s.Extra.VU == 0 {
		return ""
	}
	if o.cfg.Tags.Has(metric.TagIter) {
		parts = append(parts, "iter="+strconv.FormatInt(s.Extra.Iter, 10))
	}
	if o.cfg.Tags.Has(metric.TagVU) {
		parts = append(parts, "vu="+strconv.FormatInt(s.Extra.VU, 10))
	}
	return strings.Join(parts, "&")
}

func (o *Output) timestamp(t time.Time) string {
	switch o.cfg.TimeFormat {
	case "unix_milli":
		return strconv.FormatInt(t.UnixMilli(), 10)
	case "unix_micro":
		return strconv.FormatInt(t.UnixMicro(), 10)
	case "unix_nano":
		return strconv.FormatInt(t.UnixNano(), 10)
	case "rfc3339":
		return t.Format(time.RFC3339)
	case "rfc3339_nano":
		return t.Format(time.RFC3339Nano)
	default:
		return strconv.FormatInt(t.Unix(), 10)
	}
}
