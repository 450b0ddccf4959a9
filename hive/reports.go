package hive

import (
	"net/http"
	"time"

	"hive/engine/metric"
	"hive/engine/threshold"
)

// receive takes a member's checkpoint; only the latest counts.
func (d *driver) receive(r Report, s *metric.Snapshot) error {
	d.mu.Lock()
	inc, ok := d.team[r.Node]
	if !ok || inc != r.Incarnation {
		d.mu.Unlock()
		return refuse(http.StatusConflict, codeConflict, "node %s has no share of run %s in this life", r.Node, d.id)
	}
	last := d.got[r.Node]
	var seen int64
	if last != nil {
		seen = last.logSeq
	}
	for _, line := range r.Logs {
		if line.Seq > seen {
			seen = line.Seq
			d.hub.publish(EventLog, line)
		}
	}
	if last == nil || r.Seq > last.Seq {
		r.Logs = nil
		d.got[r.Node] = &checkpoint{Report: r, snapshot: s, at: time.Now(), logSeq: seen}
	} else {
		last.logSeq = seen
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return nil
}

// latest are the members' latest checkpoints, in the order of the members.
func (d *driver) latest() []checkpoint {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []checkpoint
	for _, m := range d.st.Members {
		if c := d.got[m.ID]; c != nil {
			all = append(all, *c)
		}
	}
	return all
}

func (d *driver) view() *metric.View {
	var snaps []*metric.Snapshot
	for _, c := range d.latest() {
		snaps = append(snaps, c.snapshot)
	}
	return metric.NewView(metric.Merge(snaps...))
}

// judgement holds the thresholds against what the nodes have sent.
func (d *driver) judgement(elapsed time.Duration, final bool) (threshold.Judgement, error) {
	if d.judge == nil {
		j, err := NewJudge(d.opts, d.spec.Flags, d.st.Metrics)
		if err != nil {
			return threshold.Judgement{}, err
		}
		d.judge = j
	}
	if d.judge.set == nil {
		return threshold.Judgement{}, nil // nothing to judge: no need to merge
	}
	return d.judge.Judge(d.view(), elapsed, final), nil
}

// runningTime is how long the test has run, from the nodes' reports: setup and
// load, on their clocks, brought up to now.
func (d *driver) runningTime() time.Duration {
	var most time.Duration
	for _, c := range d.latest() {
		e := time.Duration(c.Elapsed)
		if c.Stage == StageRunning {
			e += time.Since(c.at)
		}
		most = max(most, e)
	}
	return d.tookSetup() + most
}

func (d *driver) tookSetup() time.Duration {
	duty, _ := d.duty(d.n.keys.Setup(d.id))
	return duty.Took
}

// totalTime is the duration of the finished test: setup, load and teardown as
// the nodes measured them, without what it took to agree in between.
func (d *driver) totalTime() time.Duration {
	var load time.Duration
	for _, c := range d.latest() {
		load = max(load, time.Duration(c.Elapsed))
	}
	duty, _ := d.duty(d.n.keys.Teardown(d.id))
	return d.tookSetup() + load + duty.Took
}

// showProgress tells clients how far the hive has come.
func (d *driver) showProgress() {
	if time.Since(d.shown) < progressEvery {
		return
	}
	d.shown = time.Now()
	var parts []Progress
	for _, c := range d.latest() {
		parts = append(parts, c.Progress)
	}
	d.hub.publish(EventProgress, ProgressEvent{Phase: d.st.Phase, Nodes: len(d.living()), Progress: MergeProgress(parts...)})
}
