package hive

import (
	"context"
	"time"

	"hive/engine/metric"
	"hive/engine/threshold"
)

// progress adds up how far all incarnations have come. Those that are gone count for what they did, not for what they
// were to do.
func (d *driver) progress() Progress {
	var parts []Progress
	for _, c := range d.n.inbox.all() {
		p := c.Progress
		if !d.isMember(c.Incarnation) {
			p.VUs, p.VUsMax, p.Scenarios = 0, 0, nil
		}
		parts = append(parts, p)
	}
	if f := d.n.inbox.sum(); f != nil {
		parts = append(parts, f.Progress)
	}
	sum := MergeProgress(parts...)
	if now := d.now(); d.st.Phase == Running && now > sum.Elapsed {
		sum.Elapsed = now
	}
	return sum
}

func (d *driver) view() *metric.View {
	var snaps []*metric.Snapshot
	for _, c := range d.n.inbox.all() {
		snaps = append(snaps, c.snapshot)
	}
	if f := d.n.inbox.sum(); f != nil {
		snaps = append(snaps, f.snapshot)
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

// runningTime is how long the test has run: setup, and load on the run's clock.
func (d *driver) runningTime() time.Duration { return d.tookSetup() + max(0, d.now()) }

func (d *driver) tookSetup() time.Duration {
	duty, _ := d.duty(d.n.keys.Setup(d.id))
	return duty.Took
}

// totalTime is the duration of the finished test: setup, load and teardown as
// the nodes measured them, without what it took to agree in between.
func (d *driver) totalTime() time.Duration {
	var load time.Duration
	for _, c := range d.n.inbox.all() {
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
	d.hub.publish(EventProgress, d.progressEvent())
}

const (
	// passOnEvery is how often the leader looks whether its deputy has what it needs.
	passOnEvery = time.Second
	// passOnTry bounds that.
	passOnTry = 2 * time.Second
)

// passOn gives a new deputy the checkpoints of incarnations that are gone, and one that is not new what has been folded.
func (d *driver) passOn(ctx context.Context) {
	select {
	case h := <-d.handing:
		d.busy = false
		if h.err == nil {
			d.deputy, d.folded = h.deputy, h.what
		} else {
			d.n.log.Debug("the deputy does not have what gone nodes had sent", "run", d.id, "reason", h.err)
		}
	default:
	}
	if d.busy || time.Since(d.passedOn) < passOnEvery {
		return
	}
	d.passedOn = time.Now()
	id, ok := d.n.deputy()
	if !ok || id == d.n.info.ID {
		d.deputy = ""
		return
	}
	var folded, gone int64
	if f := d.n.inbox.sum(); f != nil {
		folded = f.Seq
	}
	for _, c := range d.n.inbox.all() {
		if !d.isMember(c.Incarnation) {
			gone += 1 + c.Seq
		}
	}
	if id == d.deputy && folded+gone == d.folded {
		return
	}
	node, ok := d.n.find(id)
	if !ok {
		return
	}
	bodies, err := d.n.inbox.pending(func(life int64) bool { return !d.isMember(life) })
	if err != nil || len(bodies) == 0 {
		d.deputy, d.folded = id, folded+gone
		return
	}
	d.busy = true
	d.wg.Go(func() { // a deputy that does not answer must not hold up the run
		h := handed{deputy: id, what: folded + gone}
		for _, body := range bodies {
			if h.err == nil {
				h.err = d.send(ctx, node.Address, body)
			}
		}
		d.handing <- h
	})
}

// handed is how an attempt to give checkpoints to a deputy went.
type handed struct {
	deputy string
	what   int64
	err    error
}

func (d *driver) send(ctx context.Context, address string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, passOnTry)
	defer cancel()
	var ack Ack
	return d.n.calls.send(ctx, "POST", address+"/api/v1/runs/"+d.id+"/checkpoint", body, &ack)
}
