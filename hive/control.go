package hive

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/engine/executor"
	"hive/engine/options"
)

// controlLead is how far ahead on the run's clock a pause or a new number of VUs takes effect, so that every node hears
// of it before.
const controlLead = 700 * time.Millisecond

// The actions of a [Control].
const (
	ActionStop   = "stop"
	ActionPause  = "pause"
	ActionResume = "resume"
	ActionScale  = "scale"
)

// checkControl refuses a request that makes no sense for a run as it stands. Whoever takes the request asks first, so
// that the user hears it; the leader asks again.
func checkControl(opts options.Options, st State, c Control) error {
	no := func(format string, args ...any) error {
		return refuse(http.StatusConflict, codeConflict, format, args...)
	}
	switch c.Action {
	case ActionStop:
		return nil
	case ActionPause, ActionResume, ActionScale:
	default:
		return refuse(http.StatusBadRequest, codeBadRequest, "action %q: want stop, pause, resume or scale", c.Action)
	}
	if st.Phase != Running {
		return no("the run is %s: only a run whose load is running can be asked to %s", st.Phase, c.Action)
	}
	switch c.Action {
	case ActionPause:
		if st.Halt != nil {
			return no("the run is paused already, since %s on its clock", seconds(st.Halt.At))
		}
	case ActionResume:
		if st.Halt == nil {
			return no("the run is not paused")
		}
	case ActionScale:
		_, err := scaled(opts, c)
		return err
	}
	return nil
}

// scaled finds the scenario whose VUs a request sets.
func scaled(opts options.Options, c Control) (executor.Scenario, error) {
	var names []string
	var found []executor.Scenario
	for _, s := range opts.Scenarios {
		if s.Executor == executor.ExternallyControlled {
			names = append(names, s.Name)
			if c.Scenario == "" || c.Scenario == s.Name {
				found = append(found, s)
			}
		}
	}
	bad := func(format string, args ...any) (executor.Scenario, error) {
		return executor.Scenario{}, refuse(http.StatusBadRequest, codeBadRequest, format, args...)
	}
	switch {
	case len(names) == 0:
		return bad("the run has no externally-controlled scenario, and the VUs of others follow their plan")
	case len(found) == 0:
		return bad("the run has no externally-controlled scenario %q; it has %s", c.Scenario, strings.Join(names, ", "))
	case len(found) > 1:
		return bad("the run has several externally-controlled scenarios: name one of %s", strings.Join(names, ", "))
	}
	if s := found[0]; c.VUs < 0 || c.VUs > s.MaxVUs() {
		return bad("scenario %s: %d VUs asked for, want 0 to %d (its maxVUs)", s.Name, c.VUs, s.MaxVUs())
	}
	return found[0], nil
}

// request is a control as it lies in etcd.
type request struct {
	Control
	key string
	rev int64
}

// done takes a request away in the write that serves it: a run of days sees thousands of them.
func (r request) done() clientv3.Op { return clientv3.OpDelete(r.key) }

// serveControls serves the requests that came since the last one served, in their order.
func (d *driver) serveControls(ctx context.Context) (done bool, err error) {
	var requests []request
	for key, kv := range d.keys.Under(d.n.keys.Controls(d.id)) {
		if kv.ModRev > d.st.Served {
			r := request{key: key, rev: kv.ModRev}
			if json.Unmarshal(kv.Value, &r.Control) == nil {
				requests = append(requests, r)
			}
		}
	}
	slices.SortFunc(requests, func(a, b request) int { return cmp.Compare(a.rev, b.rev) })
	for _, r := range requests {
		served, err := d.serve(ctx, r)
		if err != nil || !served {
			return done, err
		}
		done = true
	}
	return done, nil
}

// serve does what one request asks for; served is false when its time has not come.
func (d *driver) serve(ctx context.Context, r request) (served bool, err error) {
	if r.Action == "" || r.Action == ActionStop {
		return true, d.stopRun(ctx, r)
	}
	if err := checkControl(d.opts, d.st, r.Control); err != nil {
		d.warn("a request to %s was refused: %v", r.Action, err)
		return true, d.advance(ctx, "refuse", func(s *State) { s.Served = r.rev }, r.done())
	}
	by := orDefault(r.By, "a client")
	switch r.Action {
	case ActionPause:
		at := max(0, d.now()) + controlLead
		d.note(TimelinePause, "", fmt.Sprintf("paused by %s: the run's clock stands still at %s", by, seconds(at)), nil)
		return true, d.advance(ctx, "pause", func(s *State) { s.Served, s.Halt = r.rev, &Halt{At: at, By: r.By} }, r.done())
	case ActionResume:
		if d.now() < d.st.Halt.At {
			return false, nil // the pause has yet to begin
		}
		if p := d.st.Proposal; p != nil && p.From >= 0 {
			return false, nil // an epoch is about to be agreed upon, which costs nothing while the clock stands
		}
		at := d.st.Halt.At
		d.note(TimelineResume, "", fmt.Sprintf("resumed by %s: the run's clock goes on from %s", by, seconds(at)), nil)
		return true, d.advance(ctx, "resume", func(s *State) {
			s.Served, s.Halt = r.rev, nil
			s.Anchor = Anchor{Node: d.n.info.ID, Boot: d.n.boot, At: d.n.clock.Now() + Instant(controlLead), Run: at, Gen: s.Anchor.Gen + 1}
		}, r.done())
	}
	return true, d.scale(ctx, r, by)
}

// scale sets the VUs of an externally-controlled scenario.
func (d *driver) scale(ctx context.Context, r request, by string) error {
	sc, err := scaled(d.opts, r.Control)
	if err != nil {
		return err
	}
	change := Scale{Scenario: sc.Name, VUs: r.VUs, At: max(0, d.now()) + controlLead}
	d.note(TimelineScale, "", fmt.Sprintf("scenario %s set to %d VUs by %s from %s on", sc.Name, r.VUs, by, seconds(change.At)), nil)
	return d.advance(ctx, "scale", func(s *State) {
		s.Served = r.rev
		s.Scales = append(slices.DeleteFunc(slices.Clone(s.Scales), func(o Scale) bool { return o.Scenario == sc.Name }), change)
		s.Scaled = append(slices.Clone(s.Scaled), change)
	}, r.done())
}

// stopRun ends the run at a user's word; a second word may only be stronger.
func (d *driver) stopRun(ctx context.Context, r request) error {
	f := Failf(r.Kind, "the run was stopped by %s", orDefault(r.By, "a client"))
	switch d.st.Phase {
	case Queued:
		return d.conclude(ctx, &Result{Run: d.id, Name: d.spec.Name, Failure: f})
	case Teardown:
		return d.advance(ctx, "stop late", func(s *State) { s.Served = r.rev }, r.done())
	}
	mode := r.Mode
	if d.st.Phase != Running && d.st.Phase != Draining || d.st.Stop == StopInterrupt {
		mode = StopInterrupt
	}
	d.tellUnfilled()
	d.note(TimelineStop, "", fmt.Sprintf("stopped by %s at %s", orDefault(r.By, "a client"), seconds(d.now())), nil)
	return d.advance(ctx, "stop", func(s *State) {
		s.Served = r.rev
		s.fail(f)
		d.endLoad(s, mode)
	}, r.done())
}
