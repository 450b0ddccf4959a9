package hive

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"hive/engine/metric"
	"hive/engine/options"
	"hive/engine/threshold"
	"hive/output/summary"
)

// Result is how a run ended and everything that it leaves behind.
type Result struct {
	Run      string        `json:"run,omitempty"`
	Name     string        `json:"name"`
	Verdict  Verdict       `json:"verdict"`
	Failure  *Failure      `json:"failure,omitempty"`
	Failed   []string      `json:"failed,omitempty"` // metrics whose thresholds failed, sorted
	Warnings []string      `json:"warnings,omitempty"`
	Duration time.Duration `json:"duration"` // setup, load and teardown, as the nodes measured them
	Progress Progress      `json:"progress"`
	Nodes    []NodeResult  `json:"nodes,omitempty"`
	// Ledger says what became of everything that was planned, Timeline what happened meanwhile.
	Ledger   []ScenarioLedger `json:"ledger,omitempty"`
	Timeline []TimelineEvent  `json:"timeline,omitempty"`
	// Unowned are the VU slots that nobody had room for at the end.
	Unowned int `json:"unowned,omitempty"`
	// Summarized says that the run came far enough for a summary.
	Summarized bool `json:"summarized"`
	// Summary is what handleSummary was given; Text and Export come from it.
	Summary json.RawMessage `json:"summary,omitempty"`
	// Text is k6's summary; ColorText is the same for a terminal with colours.
	Text      string          `json:"text,omitempty"`
	ColorText string          `json:"colorText,omitempty"`
	Export    json.RawMessage `json:"export,omitempty"`
	// Handled says that handleSummary answered: Files then holds what it
	// returned, "stdout" and "stderr" included, in the place of Text.
	Handled bool              `json:"handled,omitempty"`
	Files   map[string][]byte `json:"files,omitempty"`
}

// NodeResult is the part of one life of a node in a finished run. The first one may stand for many that are gone.
type NodeResult struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Incarnation numbers the life; 0 for the sum of Incarnations earlier ones.
	Incarnation  int64     `json:"incarnation,omitempty"`
	Incarnations int       `json:"incarnations,omitempty"`
	VUs          int       `json:"vus"`
	Start        StartSkew `json:"start"`
	Clock        ClockSkew `json:"clock"`
	Ended        bool      `json:"ended"` // it reported the end of its load
	Lost         bool      `json:"lost,omitempty"`
	Worst        Health    `json:"worst"` // of its engine, each figure by itself
	Progress     Progress  `json:"progress"`
}

// Outcome is what a summary is made from.
type Outcome struct {
	Options   options.Options
	Flags     Flags
	View      *metric.View
	Judgement threshold.Judgement
	Duration  time.Duration
	SetupData json.RawMessage
	// Metrics finds the definition of a metric that has no samples.
	Metrics func(name string) *metric.Metric
	// Notes are what a reader has to know of the generators before trusting the figures.
	Notes []string
}

// Summarize fills in a result's summary: the data for handleSummary, k6's text
// and the legacy export.
func Summarize(res *Result, o Outcome) error {
	in := summary.Input{
		View:       o.View,
		Judgement:  o.Judgement,
		TrendStats: o.Options.SummaryTrendStats,
		TimeUnit:   o.Options.SummaryTimeUnit,
		Duration:   o.Duration,
		NoColor:    o.Flags.NoColor,
		StdoutTTY:  o.Flags.StdoutTTY,
		StderrTTY:  o.Flags.StderrTTY,
		SetupData:  o.SetupData,
		Hive:       hiveSection(res),
	}
	if !o.Flags.NoThresholds {
		in.Rules, in.Metrics = o.Options.Thresholds, o.Metrics
	}
	if !judged(in.Rules, metric.Lateness) {
		in.View = in.View.Without(metric.Lateness)
	}
	encoded, export, err := encode(in, o.Flags)
	if err != nil {
		return err
	}
	res.Summarized, res.Summary, res.Export = true, encoded, export
	res.Failed = o.Judgement.Failed
	if o.Flags.NoSummary || o.Flags.SummaryMode == "disabled" {
		return nil
	}
	for color, text := range map[bool]*string{false: &res.Text, true: &res.ColorText} {
		var b strings.Builder
		if err := summary.Text(&b, in, orDefault(o.Flags.SummaryMode, "compact"), color); err != nil {
			return fmt.Errorf("summary: %w", err)
		}
		for _, note := range o.Notes {
			fmt.Fprintf(&b, "    ! %s\n\n", note)
		}
		*text = b.String()
	}
	return nil
}

// encode gives what handleSummary gets and what is exported.
func encode(in summary.Input, f Flags) (data, export []byte, err error) {
	if f.NewSummary {
		data, err = summary.MachineReadable(in, summary.About{Script: f.Script, Version: Version, Generated: time.Now()})
		if err != nil {
			return nil, nil, fmt.Errorf("summary: %w", err)
		}
		return data, data, nil
	}
	if data, err = json.Marshal(summary.Data(in)); err != nil {
		return nil, nil, fmt.Errorf("summary: %w", err)
	}
	if export, err = summary.Export(in); err != nil {
		return nil, nil, fmt.Errorf("summary export: %w", err)
	}
	return data, export, nil
}

// judged says whether a threshold is about a metric or a part of it.
func judged(rules map[string][]threshold.Rule, name string) bool {
	for key := range rules {
		if s, err := metric.ParseSelector(key); err == nil && s.Metric == name {
			return true
		}
	}
	return false
}

// wantsHandler says whether handleSummary is to be called at all.
func (f Flags) wantsHandler() bool { return !f.NoSummary && f.SummaryMode != "disabled" }
