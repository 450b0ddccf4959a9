package main

import (
	"errors"
	"io"

	"hive/engine/metric"
	"hive/output"
	"hive/output/csv"
	"hive/output/json"
)

// sinks are the outputs of a local run; samples go to all of them. The zero value takes samples nowhere.
type sinks struct {
	outputs []output.Output
}

// start makes and starts the outputs that the job asks for. When one fails, those before it are stopped.
func (s *sinks) start(j job, metrics *metric.Registry, lookup lookupFunc, stdout io.Writer) error {
	for _, spec := range j.Outputs {
		o, err := newOutput(spec, j, metrics, lookup, stdout)
		if err == nil {
			err = o.Start()
		}
		if err != nil {
			return errors.Join(err, s.Stop())
		}
		s.outputs = append(s.outputs, o)
	}
	return nil
}

func newOutput(spec outputSpec, j job, metrics *metric.Registry, lookup lookupFunc, stdout io.Writer) (output.Output, error) {
	if spec.Type == "json" {
		return json.New(json.Config{Path: spec.Arg, Stdout: stdout, Registry: metrics, Tags: j.Options.SystemTags}), nil
	}
	cfg, err := csv.Parse(spec.Arg, lookup)
	if err != nil {
		return nil, usageError("--out csv: %w", err)
	}
	cfg.Stdout, cfg.Tags = stdout, j.Options.SystemTags
	return csv.New(cfg), nil
}

// Add hands samples to every output.
func (s *sinks) Add(samples []metric.Sample) {
	for _, o := range s.outputs {
		o.Add(samples)
	}
}

// Stop writes what the outputs still hold and ends them.
func (s *sinks) Stop() error {
	var errs []error
	for _, o := range s.outputs {
		errs = append(errs, o.Stop(nil))
	}
	s.outputs = nil
	return errors.Join(errs...)
}
