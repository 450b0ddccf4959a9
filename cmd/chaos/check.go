package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"hive/hive"
)

// check holds the target's record against what the run says of itself.
func (p *performance) check(res *hive.Result, start time.Time, code int) *review {
	r := &review{}
	hits, teardowns := p.target.record()
	r.notes = append(r.notes, fmt.Sprintf("verdict %s, exit code %d, %d requests seen", res.Verdict, code, len(hits)))
	if teardowns > 1 {
		r.wrong("teardown ran %d times", teardowns)
	}
	p.checkCode(r, res, code)
	p.checkLedger(r, res, hits)
	p.checkIDs(r, hits)
	p.checkPlan(r, hits, start)
	p.checkAhead(r, hits)
	p.checkRestored(r, hits, start)
	p.checkExact(r, hits, start)
	p.checkAligned(r, hits, start)
	p.checkTimeline(r, res)
	return r
}

func (r *review) wrong(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// checkCode says whether the run ended with a verdict that the faults allow.
func (p *performance) checkCode(r *review, res *hive.Result, code int) {
	right := p.exits
	if len(right) == 0 {
		right = []int{0}
	}
	if p.anyLosses {
		right = append(right, 98)
	}
	if !p.clientGone.Load() && !slices.Contains(right, code) {
		r.wrong("exit code %d, want one of %v (verdict %s, %v)", code, right, res.Verdict, res.Failure)
	}
	switch res.Verdict {
	case hive.Passed:
	case hive.Inconclusive:
		if !p.anyLosses {
			r.wrong("verdict %s: %v", res.Verdict, res.Failure)
		}
	default:
		r.wrong("verdict %s: %v", res.Verdict, res.Failure)
	}
}

// checkLedger adds the classes up and holds them against what was seen.
func (p *performance) checkLedger(r *review, res *hive.Result, hits []hit) {
	if len(res.Ledger) != 1 {
		r.wrong("a ledger of %d scenarios, want 1", len(res.Ledger))
		return
	}
	l := res.Ledger[0]
	r.notes = append(r.notes, fmt.Sprintf("ledger: %+v", l))
	if l.Unit == "vu-seconds" {
		sum := l.Active + l.Lost + l.Handover + l.Cancelled
		if math.Abs(sum-l.Planned) > 0.5+l.Planned/1000 {
			r.wrong("the ledger's classes add up to %.1f VU-seconds, and %.1f were planned", sum, l.Planned)
		}
		return
	}
	dropped := 0.0
	for _, n := range l.Dropped {
		dropped += n
	}
	if sum := l.Completed + l.Interrupted + dropped + l.Lost + l.Unknown + l.Cancelled; sum != l.Planned {
		r.wrong("the ledger's classes add up to %.0f iterations, and %.0f were planned", sum, l.Planned)
	}
	seen := float64(len(hits))
	if low, high := l.Completed+l.Interrupted, l.Completed+l.Interrupted+l.Unknown; seen < low || seen > high {
		r.wrong("%.0f iterations were seen, and the ledger says %.0f to %.0f", seen, low, high)
	}
	if !p.anyLosses && l.Lost+l.Unknown > l.Planned/50 {
		r.wrong("%.0f iterations lost and %.0f unknown of %.0f", l.Lost, l.Unknown, l.Planned)
	}
}

// checkIDs looks for iterations that were begun twice.
func (p *performance) checkIDs(r *review, hits []hit) {
	type name struct{ vu, n int64 }
	ids, names := map[int64]int{}, map[name]int{}
	for _, h := range hits {
		ids[h.id]++
		names[name{h.vu, h.iteration}]++
	}
	twice := func(what string, n int, example any) {
		if n > 0 {
			r.wrong("%d %s were seen more than once, such as %v", n, what, example)
		}
	}
	count, example := 0, int64(0)
	for id, n := range ids {
		if n > 1 {
			count, example = count+1, id
		}
	}
	twice("iterations", count, example)
	if p.load.timed() || p.load.executor == "shared-iterations" {
		return // a VU that moved counts its own iterations from 0 again
	}
	count = 0
	var which name
	for id, n := range names {
		if n > 1 {
			count, which = count+1, id
		}
	}
	twice("iterations of a VU", count, which)
}

// window is what rates are looked at in.
const window = time.Second

// slack is how much more than planned may arrive in a window: iterations may be up to a quarter of a second late.
const slack = 1.15

// checkPlan looks for a window with more than the plan.
func (p *performance) checkPlan(r *review, hits []hit, start time.Time) {
	most := 0.0
	switch {
	case p.load.timed():
		most = float64(p.load.amount)
	case p.load.executor == "constant-vus" && p.load.sleep >= 100*time.Millisecond:
		most = float64(p.load.amount) / min(1, p.load.sleep.Seconds())
	default:
		return
	}
	times := arrivalTimes(hits)
	first := 0
	worst, when := 0, time.Time{}
	for i, at := range times {
		for at.Sub(times[first]) >= window {
			first++
		}
		if n := i - first + 1; n > worst {
			worst, when = n, times[first]
		}
	}
	r.notes = append(r.notes, fmt.Sprintf("at most %d requests within a second, planned %.0f", worst, most))
	if limit := most*slack + 5; float64(worst) > limit && !p.target.stood(when.Add(-time.Second), when.Add(window), 20*stalled) {
		r.wrong("%d requests within a second at %.1fs, planned %.0f", worst, when.Sub(start).Seconds(), most)
	}
}

// early is how much sooner than its time an iteration may seem to begin: the times of what came before any fault tell when
// the load began, and the clocks of the nodes are compared over the network.
const early = 5 * time.Millisecond

// checkAhead looks for iterations that were begun before they were due.
func (p *performance) checkAhead(r *review, hits []hit) {
	if p.load.executor != "constant-arrival-rate" || len(hits) == 0 {
		return
	}
	began := func(h hit) time.Time {
		return h.at.Add(-time.Duration(float64(h.id) / float64(p.load.amount) * float64(time.Second)))
	}
	first := began(hits[0])
	for _, h := range hits {
		if h.at.Sub(hits[0].at) < window && began(h).Before(first) {
			first = began(h)
		}
	}
	allowed := early
	if p.weather != nil {
		allowed += p.weather.jitter
	}
	for _, h := range hits {
		if ahead := first.Sub(began(h)); ahead > allowed {
			r.wrong("iteration %d was begun %s before it was due", h.id, ahead)
			return
		}
	}
}

func arrivalTimes(hits []hit) []time.Time {
	times := make([]time.Time, len(hits))
	for i, h := range hits {
		times[i] = h.at
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// checkExact looks at every full second, when no node that sends load was harmed.
func (p *performance) checkExact(r *review, hits []hit, start time.Time) {
	if !p.exact {
		return
	}
	counts := make([]int, p.load.seconds)
	for _, h := range hits {
		if i := int(h.at.Sub(start) / time.Second); i >= 0 && i < len(counts) {
			counts[i]++
		}
	}
	worst := 0
	for i, n := range counts {
		if off := n - p.load.amount; max(off, -off) > max(worst, -worst) {
			worst = off
		}
		second := start.Add(time.Duration(i) * time.Second)
		if off := math.Abs(float64(n - p.load.amount)); off > max(2, float64(p.load.amount)/100) {
			if p.target.stood(second.Add(-time.Second), second.Add(2*time.Second), stalled) {
				r.notes = append(r.notes, fmt.Sprintf("second %d: %d requests, planned %d, while the machine stood still", i, n, p.load.amount))
				continue
			}
			r.wrong("second %d: %d requests, planned %d", i, n, p.load.amount)
		}
	}
	r.notes = append(r.notes, fmt.Sprintf("the worst second is off by %+d of %d", worst, p.load.amount))
}

// gap is a stretch in which less arrived than was planned.
type gap struct{ from, to time.Duration }

// step is how finely gaps are looked for.
const step = 250 * time.Millisecond

// checkRestored finds how long the load was missing after each fault.
func (p *performance) checkRestored(r *review, hits []hit, start time.Time) {
	if p.load.executor != "constant-arrival-rate" {
		return
	}
	gaps := p.gaps(hits, start)
	for i, f := range p.faults {
		at := f.began.Sub(start)
		next := time.Duration(p.load.seconds) * time.Second
		if i+1 < len(p.faults) {
			next = p.faults[i+1].began.Sub(start)
		}
		// The gap that the fault made begins with it; its end may cost a moment too. Others are the machine's own.
		back, end := time.Duration(0), f.until.Sub(start)
		for _, g := range gaps {
			if g.to <= at || g.from >= next-step {
				continue
			}
			if g.from <= at+2*time.Second {
				back = max(back, min(g.to, next)-at)
			} else if length := g.to - g.from; !f.free && g.from >= end && g.from <= end+3*time.Second && length > time.Second {
				r.wrong("%s at %.1fs: after its end the load was missing for %.2fs", f.what, at.Seconds(), length.Seconds())
			}
		}
		r.notes = append(r.notes, fmt.Sprintf("%s at %.1fs: load back after %.2fs", f.what, at.Seconds(), back.Seconds()))
		if limit := p.allowed(f); limit > 0 && back > 2*limit && !p.target.stood(f.began, f.began.Add(back), limit/5) {
			r.wrong("%s at %.1fs: the load was back after %.2fs, want %s", f.what, at.Seconds(), back.Seconds(), limit)
		}
	}
}

// allowed is how long the load may be missing after a fault; 0 means that nothing was promised. What takes twice as long
// counts as broken: this machine may be busy.
func (p *performance) allowed(f injected) time.Duration {
	held := f.until.Sub(f.began)
	switch {
	case f.free:
		return 0
	case f.back > 0:
		return f.back + p.weather.cost()
	case !f.harms:
		return 300*time.Millisecond + p.weather.cost()
	case held < time.Second: // the whole hive is down, or the run is paused
		return 0
	case held > p.ttl+time.Second: // it is lost meanwhile, and the others take over
		return p.ttl + time.Second + p.weather.cost()
	}
	return held + time.Second + p.weather.cost()
}

// trips is how many round trips between nodes a change of owners may take, with the proof of a death before it.
const trips = 15

// cost is what the delay adds to the time within which load has to be back.
func (w *weather) cost() time.Duration {
	if w == nil {
		return 0
	}
	return trips * 2 * (w.delay + w.jitter)
}

// tolerance is how far apart nodes of a busy machine may start what is due at one moment.
const tolerance = 20 * time.Millisecond

// checkAligned looks how far apart in time the nodes are, from what they sent before the first fault: half of the typical
// lateness of each is more than that, and half is less. Their clocks are tied over the network, so no closer than what the
// ways there and back differ.
func (p *performance) checkAligned(r *review, hits []hit, start time.Time) {
	if p.weather == nil || p.load.executor != "constant-arrival-rate" || len(p.faults) == 0 {
		return
	}
	late := map[string][]time.Duration{}
	for _, h := range hits {
		if h.at.Before(p.faults[0].began) {
			due := time.Duration(float64(h.id) / float64(p.load.amount) * float64(time.Second))
			late[h.from] = append(late[h.from], h.at.Sub(start)-due)
		}
	}
	first, last := time.Duration(math.MaxInt64), time.Duration(math.MinInt64)
	for _, all := range late {
		slices.Sort(all)
		middle := all[len(all)/2]
		first, last = min(first, middle), max(last, middle)
	}
	if len(late) == 0 {
		return
	}
	r.notes = append(r.notes, fmt.Sprintf("%d nodes start within %s of each other", len(late), (last-first).Round(10*time.Microsecond)))
	if last-first > p.weather.jitter+tolerance {
		r.wrong("the nodes start %s apart, with ways of %s", last-first, p.weather)
	}
}

// gaps are the stretches of quarter seconds in which less than nine tenths of the plan arrived.
func (p *performance) gaps(hits []hit, start time.Time) []gap {
	counts := make([]int, p.load.seconds*int(time.Second/step))
	for _, h := range hits {
		if i := int(h.at.Sub(start) / step); i >= 0 && i < len(counts) {
			counts[i]++
		}
	}
	planned := float64(p.load.amount) * step.Seconds()
	var gaps []gap
	for i, n := range counts {
		from := time.Duration(i) * step
		switch {
		case float64(n) >= 0.9*planned-1:
		case len(gaps) > 0 && gaps[len(gaps)-1].to == from:
			gaps[len(gaps)-1].to = from + step
		default:
			gaps = append(gaps, gap{from, from + step})
		}
	}
	return gaps
}

// cutting says whether a fault keeps a node from all others, which is a loss when it lasts.
func cutting(word string) bool { return slices.Contains([]string{"cut", "seclude", "silence"}, word) }

// checkTimeline looks for the entries that tell of the faults.
func (p *performance) checkTimeline(r *review, res *hive.Result) {
	for _, e := range res.Timeline {
		r.notes = append(r.notes, fmt.Sprintf("timeline %7.2fs %-13s %s %s", e.At.Seconds(), e.Kind, e.Node, e.Message))
	}
	has := func(kinds ...string) bool {
		return slices.ContainsFunc(res.Timeline, func(e hive.TimelineEvent) bool { return slices.Contains(kinds, e.Kind) })
	}
	for _, kind := range p.tells {
		if !has(kind) {
			r.wrong("the timeline has no entry of the kind %s", kind)
		}
	}
	for _, f := range p.faults {
		words := strings.Fields(f.what)
		switch {
		case words[0] == "kill" && words[1] == "engine" && !p.spared.Load() && !has("engine-died", "node-lost"),
			words[0] == "kill" && words[1] == "all" && !has("outage"),
			words[0] == "kill" && words[1] == "leader" && !has("leader"),
			words[0] == "kill" && strings.HasPrefix(words[1], "n") && !has("node-lost", "leader"),
			cutting(words[0]) && f.until.Sub(f.began) > p.ttl+2*time.Second && !has("node-lost", "leader"),
			words[0] == "clock" && !has("clock", "outage"),
			(words[0] == "pause" || words[0] == "resume" || words[0] == "scale") && !has(words[0]),
			words[0] == "drain" && !has("node-drained"):
			r.wrong("the timeline does not tell of: %s", f.what)
		}
	}
}
