package hive

import (
	"context"
	"encoding/json"
	"time"

	"hive/engine/threshold"
)

// SummaryAnswer is what a node's engine made of the summary.
type SummaryAnswer struct {
	Files map[string][]byte `json:"files,omitempty"`
	Ran   bool              `json:"ran"`
	Error string            `json:"error,omitempty"`
}

// result gathers everything that the run leaves behind.
func (d *driver) result(ctx context.Context) *Result {
	res := &Result{Run: d.id, Name: d.spec.Name, Failure: d.st.Failure, Duration: d.totalTime(), Nodes: d.nodeResults()}
	var parts []Progress
	for _, c := range d.latest() {
		parts = append(parts, c.Progress)
	}
	res.Progress = MergeProgress(parts...)
	if d.began() {
		d.summarize(ctx, res)
	}
	res.Warnings = d.st.Warnings
	return res
}

// began says whether the run came as far as setup or load; before that there
// is nothing to sum up.
func (d *driver) began() bool {
	_, setup := d.st.Times[Setup]
	_, load := d.st.Times[Running]
	return setup || load
}

// nodeResults lists the members' parts, and warns of starts that were late.
func (d *driver) nodeResults() []NodeResult {
	d.mu.Lock()
	var all []NodeResult
	for _, m := range d.st.Members {
		r := NodeResult{ID: m.ID, Name: m.Name, VUs: m.VUs, Lost: d.lost[m.ID]}
		if c := d.got[m.ID]; c != nil {
			r.Start, r.Ended, r.Progress = c.Start, c.Stage >= StageEnded, c.Progress
		}
		all = append(all, r)
	}
	d.mu.Unlock()
	for _, r := range all {
		if skew := r.Start.Late + r.Start.RTT/2; skew > skewLimit {
			d.warn("node %s may have started up to %s off the common instant", r.Name, skew.Round(time.Millisecond))
		}
	}
	return all
}

func (d *driver) summarize(ctx context.Context, res *Result) {
	j, err := d.judgement(res.Duration, true)
	if err != nil {
		d.warn("thresholds: %v", err)
		j = threshold.Judgement{}
	}
	o := Outcome{Options: d.opts, Flags: d.spec.Flags, View: d.view(), Judgement: j, Duration: res.Duration, SetupData: d.setupData(ctx)}
	if d.judge != nil {
		o.Metrics = d.judge.Metric
	}
	for _, n := range res.Nodes {
		o.Notes = append(o.Notes, lateNotes(n.Name, n.Progress)...)
	}
	if err := Summarize(res, o); err != nil {
		d.warn("%v", err)
		return
	}
	if d.st.Traits.HandleSummary && d.spec.Flags.wantsHandler() {
		d.handle(ctx, res)
	}
}

func (d *driver) setupData(ctx context.Context) json.RawMessage {
	key := d.n.keys.Setup(d.id)
	duty, ok := d.duty(key)
	if !ok || duty.Data == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	data, err := getChunks(ctx, d.n.etcd, key, *duty.Data)
	if err != nil {
		d.warn("setup data: %v", err)
		return nil
	}
	return data
}

// handle lets one node's engine run handleSummary over the merged data.
func (d *driver) handle(ctx context.Context, res *Result) {
	r, ok := d.n.find(d.st.Duty)
	if !ok || d.lost[d.st.Duty] {
		r, ok = d.n.find(d.substitute())
	}
	if !ok {
		d.warn("handleSummary(): there is no node to run it on")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.opts.HandleSummaryTimeout+d.n.cfg.Timing.Grace)
	defer cancel()
	var a SummaryAnswer
	if err := d.n.calls.send(ctx, "POST", r.Address+"/api/v1/runs/"+d.id+"/summary", res.Summary, &a); err != nil {
		d.warn("handleSummary() on node %s: %v", r.Name, err)
		return
	}
	if a.Error != "" {
		d.warn("handleSummary() on node %s: %s", r.Name, a.Error)
		return
	}
	res.Handled, res.Files = a.Ran, a.Files
}
