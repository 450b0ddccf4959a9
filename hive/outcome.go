package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
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
	res.Progress = d.progress()
	timeline, err := d.n.timeline(ctx, d.id)
	if err != nil {
		d.warn("the timeline: %v", err)
	}
	res.Timeline = timeline
	if d.began() {
		d.account(res)
		d.summarize(ctx, res)
	}
	res.Warnings = d.st.Warnings
	return res
}

// account says what became of everything that was planned.
func (d *driver) account(res *Result) {
	if _, load := d.st.Times[Running]; !load {
		return
	}
	ledger, warnings := d.ledger(true)
	res.Ledger, res.Unowned = ledger, d.st.Unowned
	for _, w := range append(warnings, d.placeNotes(res)...) {
		d.warn("%s", w)
	}
}

// placeNotes are what a reader has to know of where the load came from: VUs that no node had room for, nodes that carried
// more than they can, and clocks that were apart.
func (d *driver) placeNotes(res *Result) (notes []string) {
	if d.st.Unowned > 0 {
		why := "the hive had no room for them"
		if d.policy().OnNodeLoss == LossContinue {
			why = "the share of a node that is lost is left out, as the run's policy wants"
		}
		notes = append(notes, fmt.Sprintf("%d of %d VU slots had no owner at the end: %s", d.st.Unowned, d.layout.Slots, why))
	}
	for _, m := range d.st.Members {
		if m.VUs > m.Capacity {
			notes = append(notes, fmt.Sprintf("node %s carried %d VUs with a capacity of %d", m.Name, m.VUs, m.Capacity))
		}
	}
	for _, r := range res.Nodes {
		if skew := r.Start.Late + r.Start.RTT/2; skew > skewLimit && !r.Lost {
			notes = append(notes, fmt.Sprintf("node %s may have started up to %s off the common instant", r.Name, skew.Round(time.Millisecond)))
		}
		notes = append(notes, clockNotes(r.Name, r.Clock)...)
	}
	return notes
}

// doubt makes a run inconclusive that passed although more of its plan was lost, handed over or is unknown than its policy
// allows.
func (d *driver) doubt(res *Result) {
	first := res.Failure
	if first != nil || d.marked() != nil || len(res.Failed) > 0 {
		return
	}
	limit := *d.policy().MaxLoss
	loss := Loss(res.Ledger)
	if loss <= limit {
		return
	}
	missing := func(class func(ScenarioLedger) float64) string {
		var parts []string
		for _, l := range res.Ledger {
			if n := class(l); n > 0 {
				parts = append(parts, fmt.Sprintf("%s %.6g %s", l.Scenario, n, l.Unit))
			}
		}
		return orDefault(strings.Join(parts, ", "), "nothing")
	}
	res.Failure = Failf(KindInconclusive, "%.3g%% of the plan was lost, handed over or is unknown, and %.3g%% is allowed (--max-loss); lost: %s; handover: %s; unknown: %s",
		100*loss, 100*limit, missing(func(l ScenarioLedger) float64 { return l.Lost }),
		missing(func(l ScenarioLedger) float64 { return l.Handover }), missing(func(l ScenarioLedger) float64 { return l.Unknown }))
}

// began says whether the run came as far as setup or load; before that there
// is nothing to sum up.
func (d *driver) began() bool {
	_, setup := d.st.Times[Setup]
	_, load := d.st.Times[Running]
	return setup || load
}

// maxNodeResults is how many incarnations a result lists; older ones that are gone are summed up.
const maxNodeResults = 50

// nodeResults lists the parts of all incarnations.
func (d *driver) nodeResults() []NodeResult {
	var all []NodeResult
	fallen := d.fallen()
	lives := make([]Gone, 0, len(d.st.Gone)+len(d.st.Members))
	for _, g := range d.st.Gone {
		if !d.isMember(g.Incarnation) {
			lives = append(lives, g)
		}
	}
	more := NodeResult{ID: "", Name: "earlier", Ended: true}
	if n := len(lives) + len(d.st.Members) - maxNodeResults; n > 0 {
		n = min(n, len(lives))
		for _, g := range lives[:n] {
			more.Incarnations++
			if c := d.n.inbox.of(g.Incarnation); c != nil {
				more.Progress = MergeProgress(more.Progress, bare(c.Progress))
			}
		}
		lives = lives[n:]
	}
	if f := d.n.inbox.sum(); f != nil {
		more.Progress = MergeProgress(more.Progress, f.Progress)
	}
	if more.Incarnations += d.st.GoneBefore; more.Incarnations > 0 {
		all = append(all, more)
	}
	for _, m := range d.st.Members {
		lives = append(lives, Gone{Member: m, Lost: fallen[m.Incarnation] != ""})
	}
	for _, g := range lives {
		r := NodeResult{ID: g.ID, Name: g.Name, Incarnation: g.Incarnation, VUs: g.VUs, Lost: g.Lost}
		if c := d.n.inbox.of(g.Incarnation); c != nil {
			r.Start, r.Clock, r.Ended, r.Worst, r.Progress = c.Start, c.Clock, c.Stage >= StageEnded, c.Worst, c.Progress
		}
		all = append(all, r)
	}
	return all
}

// bare is the part of a progress that counts when its node is gone.
func bare(p Progress) Progress {
	p.VUs, p.VUsMax, p.Scenarios = 0, 0, nil
	return p
}

func (d *driver) summarize(ctx context.Context, res *Result) {
	j, err := d.judgement(res.Duration, true)
	if err != nil {
		d.warn("thresholds: %v", err)
		j = threshold.Judgement{}
	}
	res.Failed = j.Failed
	d.doubt(res)
	res.Verdict, res.Failure = Conclude(res.Failure, d.marked(), res.Failed)
	o := Outcome{Options: d.opts, Flags: d.spec.Flags, View: d.view(), Judgement: j, Duration: res.Duration, SetupData: d.setupData(ctx)}
	if d.judge != nil {
		o.Metrics = d.judge.Metric
	}
	o.Notes = lateOnNodes(res.Nodes)
	o.Notes = append(o.Notes, d.placeNotes(res)...)
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
	if !ok || d.lostNode(d.st.Duty) {
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
