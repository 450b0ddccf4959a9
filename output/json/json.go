// Package json writes every sample as a line of JSON, in the shape of k6's json output: a line of
// type Metric when a metric is seen for the first time, and one of type Point for each sample.
package json

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"hive/engine/metric"
	"hive/output"
)

// Config says where the lines go.
type Config struct {
	Path     string            // of the file; output.Stdout or "": Stdout; compressed when it ends in .gz
	Stdout   io.Writer         // the process' standard output
	Registry *metric.Registry  // tells the submetrics of metrics
	Tags     metric.SystemTags // metric.TagVU and metric.TagIter add the numbers of VU and iteration
	Every    time.Duration     // between writes; 0: 200 ms
}

// Output is an output.Output.
type Output struct {
	cfg   Config
	queue *output.Queue
	file  io.WriteCloser
	buf   *bufio.Writer
	line  []byte
	seen  map[*metric.Metric]bool
}

// New returns an output that is not started yet.
func New(cfg Config) *Output {
	if cfg.Every <= 0 {
		cfg.Every = 200 * time.Millisecond
	}
	o := &Output{cfg: cfg, seen: map[*metric.Metric]bool{}}
	o.queue = output.NewQueue(cfg.Every, o.write)
	return o
}

// Description implements output.Output.
func (o *Output) Description() string {
	if o.cfg.Path == "" || o.cfg.Path == output.Stdout {
		return "json(stdout)"
	}
	return fmt.Sprintf("json (%s)", o.cfg.Path)
}

// Start creates the file.
func (o *Output) Start() error {
	f, err := output.Create(o.cfg.Path, o.cfg.Stdout)
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	o.file, o.buf = f, bufio.NewWriterSize(f, 64<<10)
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
	if err := errors.Join(o.queue.Stop(), o.buf.Flush(), o.file.Close()); err != nil {
		return fmt.Errorf("json: %w", err)
	}
	return nil
}

func (o *Output) write(samples []metric.Sample) error {
	for i := range samples {
		s := &samples[i]
		o.line = o.line[:0]
		if !o.seen[s.Metric] {
			o.seen[s.Metric] = true
			o.line = appendMetric(o.line, s.Metric, o.submetrics(s.Metric))
		}
		o.line = appendPoint(o.line, s, o.cfg.Tags)
		if _, err := o.buf.Write(o.line); err != nil {
			return err
		}
	}
	return o.buf.Flush()
}

func (o *Output) submetrics(m *metric.Metric) []metric.Selector {
	if o.cfg.Registry == nil {
		return nil
	}
	var subs []metric.Selector
	for _, key := range o.cfg.Registry.Submetrics(m) {
		if sel, err := metric.ParseSelector(key); err == nil {
			subs = append(subs, sel)
		}
	}
	return subs
}
