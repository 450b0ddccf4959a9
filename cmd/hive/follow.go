package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"hive/hive"
)

// follower shows the events of a hive's run.
type follower struct {
	display *display
	log     *slog.Logger
	phase   hive.Phase
	waiting int // place in the queue that was told last
	planned bool
}

// follow shows a run of the hive until it ends, and returns what it left.
func (a *app) follow(ctx context.Context, client *hive.Client, run string, d *display) (*hive.Result, error) {
	f := &follower{display: d, log: a.logs.Logger}
	r, err := client.Attach(ctx, run, f.see)
	d.Finish()
	return r, err
}

// see shows one event.
func (f *follower) see(e hive.Event) error {
	switch e.Type {
	case hive.EventState:
		return decoded(e, f.state)
	case hive.EventPlan:
		return decoded(e, f.plan)
	case hive.EventProgress:
		return decoded(e, f.progress)
	case hive.EventTimeline:
		return decoded(e, func(t hive.TimelineEvent) {
			f.display.Note(fmt.Sprintf("%9s  %s", clock(t.At), t))
		})
	case hive.EventLog:
		return decoded(e, f.line)
	case hive.EventWarning:
		return decoded(e, func(w hive.Warning) { f.log.Warn(w.Message) })
	}
	return nil // of a newer hive; the rest is understood without it
}

// decoded gives an event's data to show.
func decoded[T any](e hive.Event, show func(T)) error {
	var v T
	if err := json.Unmarshal(e.Data, &v); err != nil {
		return fmt.Errorf("event %s of the hive: %w", e.Type, err)
	}
	show(v)
	return nil
}

// plan shows how the run was dealt out at first; the timeline tells what changed since.
func (f *follower) plan(p hive.Plan) {
	if !f.planned {
		f.planned = true
		f.display.Plan(p)
	}
}

// progress shows how far the hive has come.
func (f *follower) progress(p hive.ProgressEvent) {
	f.display.Progress(progress{Progress: p.Progress, Phase: p.Phase, Nodes: p.Nodes, Paused: p.Paused, Unowned: p.Unowned, Load: p.Load})
}

// state tells of a change of phase, and of a new place in the queue.
func (f *follower) state(s hive.StateEvent) {
	switch {
	case s.Phase == hive.Queued && s.Position > 0 && s.Position != f.waiting:
		f.display.Note(fmt.Sprintf("run %s waits for %d %s before it", s.Run, s.Position, plural(s.Position, "run")))
	case s.Phase == f.phase:
	case s.Duty != "":
		f.display.Note(fmt.Sprintf("run %s: %s on %s", s.Run, s.Phase, s.Duty))
	default:
		f.display.Note(fmt.Sprintf("run %s: %s", s.Run, s.Phase))
	}
	f.phase, f.waiting = s.Phase, s.Position
}

// line logs what a node logged, in the node's name.
func (f *follower) line(l hive.LogLine) {
	ctx := context.Background()
	if !f.log.Enabled(ctx, l.Level) {
		return
	}
	r := slog.NewRecord(l.Time, l.Level, l.Message, 0)
	if l.Node != "" {
		r.AddAttrs(slog.String("node", l.Node))
	}
	for _, key := range slices.Sorted(maps.Keys(l.Attrs)) {
		r.AddAttrs(slog.Any(key, l.Attrs[key]))
	}
	if err := f.log.Handler().Handle(ctx, r); err != nil {
		f.display.Note(l.Message) // the log cannot be written: the line is still worth seeing
	}
}
