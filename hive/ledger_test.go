package hive_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
	"hive/hive"
)

const second = time.Second

// split deals one scenario's VUs to nodes.
func split(t testing.TB, vus int, capacities ...int) []share.Share {
	t.Helper()
	shares, err := share.Split(share.Plan{Slots: vus, Scenarios: []share.Range{{Max: vus}}}, capacities)
	if err != nil {
		t.Fatal(err)
	}
	return shares
}

// ledgers is a report of one scenario.
func ledgers(l executor.Ledger) []executor.Ledger { return []executor.Ledger{l} }

// total adds up the classes.
func total(l hive.ScenarioLedger) float64 {
	sum := l.Completed + l.Interrupted + l.Lost + l.Unknown + l.Cancelled + l.Active + l.Handover + l.Pending
	for _, n := range l.Dropped {
		sum += n
	}
	return sum
}

func TestLedger(t *testing.T) {
	// 10 iterations per second for 10 s: due at 0, 0.1, … 9.9 s.
	rate := executor.Scenario{Name: "rate", Executor: executor.ConstantArrivalRate, Rate: 10, TimeUnit: second, Duration: 10 * second, VULimit: 2}
	shared := executor.Scenario{Name: "shared", Executor: executor.SharedIterations, VUs: 2, Iterations: 100, MaxDuration: time.Minute}
	perVU := executor.Scenario{Name: "each", Executor: executor.PerVUIterations, VUs: 2, Iterations: 50, MaxDuration: time.Minute}
	loop := executor.Scenario{Name: "loop", Executor: executor.ConstantVUs, VUs: 2, Duration: 10 * second}
	ext := executor.Scenario{Name: "ext", Executor: executor.ExternallyControlled, VUs: 1, VULimit: 2}
	two := split(t, 2, 1, 1) // node 0 has the even iterations, node 1 the odd ones
	one := split(t, 2, 2)[0]
	first := func(k int) []hive.Stint { return []hive.Stint{{Epoch: 1, Share: two[k]}} }
	survivor := append(first(0), hive.Stint{Epoch: 2, From: 5 * second, Share: one})
	type in = hive.LedgerInput

	for _, tt := range []struct {
		name     string
		scenario executor.Scenario
		in       hive.LedgerInput
		want     hive.ScenarioLedger // without scenario, executor, unit
		warning  string
	}{
		{"all went well", rate, in{Over: true, Lives: []hive.Life{
			{Stints: first(0), Final: true, Ledgers: ledgers(executor.Ledger{Started: 48, Completed: 47, Interrupted: 1, Dropped: map[string]int64{"no-free-vu": 2}, Reached: 10 * second})},
			{Stints: first(1), Final: true, Ledgers: ledgers(executor.Ledger{Started: 50, Completed: 50, Reached: 10 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 97, Interrupted: 1, Dropped: map[string]float64{"no-free-vu": 2}}, ""},

		{"under way", rate, in{Lives: []hive.Life{
			{Stints: first(0), Ledgers: ledgers(executor.Ledger{Started: 10, Completed: 9, Reached: 2 * second})},
			{Stints: first(1), Ledgers: ledgers(executor.Ledger{Started: 10, Completed: 10, Reached: 2 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 19, Pending: 81}, ""},

		// Node 1 stood still from 4 s on, was replaced at 5 s, and counted all of its own as lost when it woke up at 10 s.
		{"a node wakes up late", rate, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Started: 75, Completed: 75, Reached: 10 * second})},
			{Stints: first(1), Gone: true, Proven: 4500 * time.Millisecond, Replaced: true, Until: 5 * second, Final: true,
				Ledgers: ledgers(executor.Ledger{Started: 20, Completed: 20, Lost: 30, Reached: 10 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 95, Lost: 5}, ""},

		// Node 1 last reported at 4 s, was proven gone at 4.5 s, and was replaced at 5 s: due in between, and its own, were
		// 4.1 and 4.3 (perhaps begun), 4.5, 4.7 and 4.9 (not begun).
		{"a node dies", rate, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Started: 75, Completed: 75, Reached: 10 * second})},
			{Stints: first(1), Gone: true, Proven: 4500 * time.Millisecond, Replaced: true, Until: 5 * second,
				Ledgers: ledgers(executor.Ledger{Started: 20, Completed: 19, Reached: 4 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 94, Unknown: 3, Lost: 3}, ""},

		{"an engine dies, and its marks tell all", rate, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Started: 75, Completed: 75, Reached: 10 * second})},
			{Stints: first(1), Final: true, Gone: true, Proven: 4500 * time.Millisecond, Replaced: true, Until: 5 * second,
				Ledgers: ledgers(executor.Ledger{Started: 22, Completed: 21, Reached: 4500 * time.Millisecond})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 96, Unknown: 1, Lost: 3}, ""},

		{"a node dies that never reported", rate, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Started: 75, Completed: 75, Reached: 10 * second})},
			{Stints: first(1), Gone: true, Proven: second, Replaced: true, Until: 5 * second},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 75, Unknown: 5, Lost: 20}, ""},

		{"its share stays a hole", rate, in{Over: true, Lives: []hive.Life{
			{Stints: first(0), Final: true, Ledgers: ledgers(executor.Ledger{Started: 50, Completed: 50, Reached: 10 * second})},
			{Stints: first(1), Gone: true, Proven: 4 * second, Ledgers: ledgers(executor.Ledger{Started: 20, Completed: 20, Reached: 4 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 70, Lost: 30}, ""},

		{"a hole, while the run goes on", rate, in{Lives: []hive.Life{
			{Stints: first(0), Ledgers: ledgers(executor.Ledger{Started: 30, Completed: 30, Reached: 6 * second})},
			{Stints: first(1), Gone: true, Proven: 4 * second, Ledgers: ledgers(executor.Ledger{Started: 20, Completed: 20, Reached: 4 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 50, Lost: 10, Pending: 40}, ""},

		{"the whole hive was down", rate, in{Over: true, Lives: []hive.Life{
			{Stints: first(0), Gone: true, Proven: 3 * second, Replaced: true, Until: 5 * second, Ledgers: ledgers(executor.Ledger{Started: 15, Completed: 15, Reached: 3 * second})},
			{Stints: first(1), Gone: true, Proven: 3 * second, Replaced: true, Until: 5 * second, Ledgers: ledgers(executor.Ledger{Started: 14, Completed: 14, Reached: 2800 * time.Millisecond})},
			{Stints: []hive.Stint{{Epoch: 2, From: 5 * second, Share: one}}, Final: true, Ledgers: ledgers(executor.Ledger{Started: 50, Completed: 50, Reached: 10 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 79, Unknown: 1, Lost: 20}, ""},

		{"nobody had any part for two seconds", rate, in{Over: true, Gaps: []hive.Gap{{From: 2 * second, Until: 4 * second}, {Scenario: 1, Until: second}},
			Lives: []hive.Life{{Stints: []hive.Stint{{Epoch: 1, Share: one}}, Final: true, Ledgers: ledgers(executor.Ledger{Started: 80, Completed: 80, Reached: 10 * second})}}},
			hive.ScenarioLedger{Planned: 100, Completed: 80, Lost: 20}, ""},

		{"stopped by a user", rate, in{Over: true, Stopped: true, StoppedAt: 6 * second, Lives: []hive.Life{
			{Stints: first(0), Final: true, Ledgers: ledgers(executor.Ledger{Started: 30, Completed: 30, Reached: 6 * second})},
			{Stints: first(1), Gone: true, Proven: 4 * second, Ledgers: ledgers(executor.Ledger{Started: 20, Completed: 20, Reached: 4 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 50, Lost: 10, Cancelled: 40}, ""},

		// The leaders that had node 1's reports are gone, and those that knew what it had before 5 s.
		{"stopped, and too little is known", rate, in{Over: true, Stopped: true, StoppedAt: 8 * second, Lives: []hive.Life{
			{Stints: []hive.Stint{{Epoch: 2, From: 5 * second, Share: two[0]}}, Final: true, Ledgers: ledgers(executor.Ledger{Started: 40, Completed: 40, Reached: 8 * second})},
			{Stints: []hive.Stint{{Epoch: 2, From: 5 * second, Share: two[1]}}, Gone: true, Proven: 7 * second},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 40, Unknown: 35, Lost: 5, Cancelled: 20}, ""},

		{"fenced for a while", rate, in{Over: true, Lives: []hive.Life{
			{Stints: []hive.Stint{{Epoch: 1, Share: one}}, Final: true, Ledgers: ledgers(executor.Ledger{Started: 90, Completed: 85, Interrupted: 5, Lost: 10, Reached: 10 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 85, Interrupted: 5, Lost: 10}, ""},

		{"fenced in the middle of requests", rate, in{Over: true, Lives: []hive.Life{
			{Stints: []hive.Stint{{Epoch: 1, Share: one}}, Final: true, Ledgers: ledgers(executor.Ledger{Started: 90, Completed: 85, Interrupted: 2, Doubtful: 3, Lost: 10, Reached: 10 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 85, Interrupted: 2, Unknown: 3, Lost: 10}, ""},

		{"fenced in the middle of requests, and never heard of again", rate, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Started: 75, Completed: 75, Reached: 10 * second})},
			{Stints: first(1), Gone: true, Proven: 4500 * time.Millisecond, Replaced: true, Until: 5 * second,
				Ledgers: ledgers(executor.Ledger{Started: 20, Completed: 17, Doubtful: 2, Reached: 4 * second})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 92, Unknown: 5, Lost: 3}, ""},

		{"nobody accounts for some", rate, in{Over: true}, hive.ScenarioLedger{Planned: 100, Unknown: 100},
			"scenario rate: nobody accounts for 100 of its 100 iterations: they count as unknown"},

		{"more than planned", rate, in{Over: true, Lives: []hive.Life{{Final: true, Ledgers: ledgers(executor.Ledger{Started: 104, Completed: 104, Lost: 2})}}},
			hive.ScenarioLedger{Planned: 100, Completed: 104}, "scenario rate: 2 iterations that counted as lost or unknown were accounted for by others; " +
				"scenario rate: 4 iterations are accounted for beyond the 100 that were planned"},

		// Node 1 may have begun 30 of its 50 and 25 are known to have ended; node 0 did the other 20.
		{"shared iterations move", shared, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Started: 70, Completed: 70})},
			{Stints: first(1), Gone: true, Proven: second, Replaced: true, Until: 2 * second, Ledgers: ledgers(executor.Ledger{Started: 27, Completed: 25}),
				Counted: []hive.Counted{{Marks: executor.Marks{Limit: 30}, Row: 50}}},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 95, Unknown: 5}, ""},

		{"marks reach beyond the row", shared, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Started: 50, Completed: 50})},
			{Stints: first(1), Gone: true, Replaced: true, Ledgers: ledgers(executor.Ledger{Started: 49, Completed: 48}),
				Counted: []hive.Counted{{Marks: executor.Marks{Limit: 80}, Row: 50}}},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 98, Unknown: 2}, ""},

		{"shared iterations stay behind", shared, in{Over: true, Lives: []hive.Life{
			{Stints: first(0), Final: true, Ledgers: ledgers(executor.Ledger{Started: 50, Completed: 50})},
			{Stints: first(1), Gone: true, Ledgers: ledgers(executor.Ledger{Started: 27, Completed: 25}),
				Counted: []hive.Counted{{Marks: executor.Marks{Limit: 30}, Row: 50}}},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 75, Unknown: 5, Lost: 20}, ""},

		{"some belonged to nobody", shared, in{Over: true, Loose: []int64{12}, Lives: []hive.Life{
			{Stints: first(0), Final: true, Ledgers: ledgers(executor.Ledger{Started: 88, Completed: 88})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 88, Lost: 12}, ""},

		{"maxDuration came", shared, in{Over: true, Lives: []hive.Life{
			{Stints: []hive.Stint{{Epoch: 1, Share: one}}, Final: true, Ledgers: ledgers(executor.Ledger{Started: 60, Completed: 58, Interrupted: 2, Dropped: map[string]int64{"max-duration": 40}})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 58, Interrupted: 2, Dropped: map[string]float64{"max-duration": 40}}, ""},

		// Slot 1 may have come to 20 on node 1, of which 15 are known to have ended, and went on with 20 on node 0.
		{"iterations of a VU move", perVU, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Started: 80, Completed: 80})},
			{Stints: first(1), Gone: true, Replaced: true, Until: 5 * second, Ledgers: ledgers(executor.Ledger{Started: 16, Completed: 15}),
				Counted: []hive.Counted{{Marks: executor.Marks{Slots: map[int]int64{1: 20}}}}},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 95, Unknown: 5}, ""},

		{"iterations of a VU stay behind", perVU, in{Over: true, Lives: []hive.Life{
			{Stints: first(0), Final: true, Ledgers: ledgers(executor.Ledger{Started: 50, Completed: 50})},
			{Stints: first(1), Gone: true, Ledgers: ledgers(executor.Ledger{Started: 6, Completed: 5}),
				Counted: []hive.Counted{{Marks: executor.Marks{Slots: map[int]int64{1: 20}}, Begins: map[int]int64{1: 10}}}},
			{Stints: first(1), Gone: true, Replaced: true, Ledgers: ledgers(executor.Ledger{Started: 10, Completed: 10}),
				Counted: []hive.Counted{{Marks: executor.Marks{Slots: map[int]int64{1: 10}}}}},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 65, Unknown: 5, Lost: 30}, ""},

		{"counted iterations are cancelled", perVU, in{Over: true, Stopped: true, StoppedAt: second, Lives: []hive.Life{
			{Stints: []hive.Stint{{Epoch: 1, Share: one}}, Final: true, Ledgers: ledgers(executor.Ledger{Started: 30, Completed: 29, Interrupted: 1})},
		}}, hive.ScenarioLedger{Planned: 100, Completed: 29, Interrupted: 1, Cancelled: 70}, ""},

		{"VUs loop, one moves", loop, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Started: 7, Completed: 7, Active: 14.5, Handover: 0.5})},
			{Stints: first(1), Gone: true, Proven: 4 * second, Replaced: true, Until: 5 * second, Ledgers: ledgers(executor.Ledger{Active: 4})},
		}}, hive.ScenarioLedger{Planned: 20, Active: 18.5, Handover: 0.5, Lost: 1, Completed: 0}, ""},

		// Node 1 hands its VU over at 5 s, ends its last iteration at 8 s, and node 0 starts it at 8.1 s.
		{"VUs loop, one ends a long iteration where it was", loop, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Active: 11.9, Handover: 0.1})},
			{Stints: first(1), Replaced: true, Until: 5 * second, Final: true, Ledgers: ledgers(executor.Ledger{Active: 8})},
		}}, hive.ScenarioLedger{Planned: 20, Active: 19.9, Handover: 0.1}, ""},

		{"the same, and the last word of where it was has yet to come", loop, in{Lives: []hive.Life{
			{Stints: survivor, Ledgers: ledgers(executor.Ledger{Active: 11.9, Handover: 0.1})},
			{Stints: first(1), Replaced: true, Until: 5 * second, Ledgers: ledgers(executor.Ledger{Active: 7.2})},
		}}, hive.ScenarioLedger{Planned: 20, Active: 19.1, Handover: 0.1, Pending: 0.8}, ""},

		{"the same, and it never comes", loop, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Active: 11.9, Handover: 0.1})},
			{Stints: first(1), Replaced: true, Until: 5 * second, Ledgers: ledgers(executor.Ledger{Active: 7.2})},
		}}, hive.ScenarioLedger{Planned: 20, Active: 19.1, Handover: 0.1, Lost: 0.8}, ""},

		// Node 1 dies at 4 s, and its VU is never initialised on node 0.
		{"VUs loop, one never again", loop, in{Over: true, Lives: []hive.Life{
			{Stints: survivor, Final: true, Ledgers: ledgers(executor.Ledger{Active: 10})},
			{Stints: first(1), Gone: true, Proven: 4 * second, Replaced: true, Until: 5 * second, Ledgers: ledgers(executor.Ledger{Active: 4})},
		}}, hive.ScenarioLedger{Planned: 20, Active: 14, Lost: 6}, ""},

		{"VUs loop, under way", loop, in{Lives: []hive.Life{
			{Stints: survivor, Ledgers: ledgers(executor.Ledger{Active: 7, Reached: 6 * second})},
			{Stints: first(1), Gone: true, Proven: 4 * second, Replaced: true, Until: 5 * second, Ledgers: ledgers(executor.Ledger{Active: 3})},
		}}, hive.ScenarioLedger{Planned: 20, Active: 10, Lost: 2, Pending: 8}, ""},

		{"VUs loop and are stopped", loop, in{Over: true, Stopped: true, StoppedAt: 6 * second, Lives: []hive.Life{
			{Stints: []hive.Stint{{Epoch: 1, Share: one}}, Final: true, Ledgers: ledgers(executor.Ledger{Active: 12.1})},
		}}, hive.ScenarioLedger{Planned: 20, Active: 12.1, Cancelled: 7.9}, ""},

		{"VUs loop for longer than planned", loop, in{Over: true, Lives: []hive.Life{
			{Final: true, Ledgers: ledgers(executor.Ledger{Active: 21})},
		}}, hive.ScenarioLedger{Planned: 20, Active: 20}, "scenario loop: its VUs were active for 1.000 VU-seconds beyond the 20.000 that were planned"},

		{"without an end, scaled and stopped", ext, in{Over: true, Stopped: true, StoppedAt: 6 * second,
			Scales: []hive.Scale{{Scenario: "ext", VUs: 2, At: 2 * second}, {Scenario: "other", At: second}},
			Lives:  []hive.Life{{Stints: []hive.Stint{{Epoch: 1, Share: one}}, Final: true, Ledgers: ledgers(executor.Ledger{Active: 9})}}},
			hive.ScenarioLedger{Planned: 10, Active: 9, Lost: 1}, ""},

		{"without an end, under way", ext, in{Lives: []hive.Life{
			{Stints: []hive.Stint{{Epoch: 1, Share: one}}, Ledgers: ledgers(executor.Ledger{Active: 3})},
		}}, hive.ScenarioLedger{Planned: 3, Active: 3}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.Scenarios = []executor.Scenario{tt.scenario}
			for range 2 { // the second time, what is known is not counted again
				if tt.in.Known == nil {
					tt.in.Known = hive.DueCounts{}
				}
				ledger, warnings := hive.NewLedger(tt.in)
				got := ledger[0]
				if got.Scenario != tt.scenario.Name || got.Executor != string(tt.scenario.Executor) {
					t.Errorf("got a ledger of %s, %s", got.Scenario, got.Executor)
				}
				got.Scenario, got.Executor, got.Unit = "", "", ""
				if !reflect.DeepEqual(rounded(got), tt.want) {
					t.Errorf("got  %+v\nwant %+v", got, tt.want)
				}
				if off := total(got) - got.Planned; tt.warning == "" && math.Abs(off) > 1e-9 {
					t.Errorf("the classes are %g off the plan", off)
				}
				if warned := strings.Join(warnings, "; "); warned != tt.warning {
					t.Errorf("warnings: got %q, want %q", warned, tt.warning)
				}
			}
		})
	}
}

// rounded takes away what adding up fractions leaves behind.
func rounded(l hive.ScenarioLedger) hive.ScenarioLedger {
	for _, v := range []*float64{&l.Planned, &l.Active, &l.Handover, &l.Lost, &l.Cancelled, &l.Pending} {
		*v = math.Round(*v*1e6) / 1e6
	}
	return l
}

func TestLedgerOfRamp(t *testing.T) {
	ramp := executor.Scenario{Name: "ramp", Executor: executor.RampingVUs, StartTime: second, StartVUs: 2,
		Stages: []executor.Stage{{Duration: 10 * second, Target: 12}, {Duration: 10 * second, Target: 12}, {Duration: 5 * second}}}
	const want = 65 + 120 + 32.5 // VU-seconds: 2 to 11 VUs for a second each, 12 for ten, 12 to 1 for 5/12 of a second each
	whole := share.Whole(share.Plan{Slots: 12, Scenarios: []share.Range{{Max: 12}}})
	in := hive.LedgerInput{Scenarios: []executor.Scenario{ramp}, Over: true, Lives: []hive.Life{{
		Stints: []hive.Stint{{Epoch: 1, Share: whole}}, Final: true, Ledgers: ledgers(executor.Ledger{Active: want}),
	}}}
	ledger, warnings := hive.NewLedger(in)
	if got := ledger[0]; math.Abs(got.Planned-want) > 1e-6 || got.Lost != 0 || total(got) != got.Planned || warnings != nil {
		t.Errorf("got %+v and %q, want %g VU-seconds planned and active", got, warnings, want)
	}
}

func TestLoss(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ledger []hive.ScenarioLedger
		want   float64
	}{
		{"nothing", nil, 0},
		{"all well", []hive.ScenarioLedger{{Unit: hive.UnitIterations, Planned: 10, Completed: 10}}, 0},
		{"lost and unknown, over all scenarios", []hive.ScenarioLedger{
			{Unit: hive.UnitIterations, Planned: 30, Lost: 2}, {Unit: hive.UnitIterations, Planned: 70, Unknown: 3}}, 0.05},
		{"handed over", []hive.ScenarioLedger{{Unit: hive.UnitVUSeconds, Planned: 360, Active: 285, Lost: 15, Handover: 60}}, 75. / 360},
		{"units are not mixed", []hive.ScenarioLedger{
			{Unit: hive.UnitIterations, Planned: 1000, Lost: 10}, {Unit: hive.UnitVUSeconds, Planned: 10, Lost: 1}}, 0.1},
		{"no plan", []hive.ScenarioLedger{{Unit: hive.UnitVUSeconds, Lost: 1}}, 1},
	} {
		if got := hive.Loss(tt.ledger); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("%s: got %g, want %g", tt.name, got, tt.want)
		}
	}
}

// truth is a run in which all is known: what became of each iteration, and what the leader was told.
type truth struct {
	rng         *rand.Rand
	in          hive.LedgerInput
	begun       int // iterations that a target has seen
	dead, alive []*mortal
}

// mortal is a node that may die.
type mortal struct {
	life           hive.Life
	until, reports time.Duration // when it ends, and when it reported last
	events         []event
}

// event is an iteration that a node came to.
type event struct {
	due, took time.Duration
	dropped   bool
}

// report is what a node says at a moment.
func (n *mortal) report(at time.Duration) []executor.Ledger {
	l := executor.Ledger{Reached: at}
	for _, e := range n.events {
		switch {
		case e.due >= at:
		case e.dropped:
			l.Dropped = map[string]int64{"no-free-vu": l.Dropped["no-free-vu"] + 1}
		default:
			if l.Started++; e.due+e.took < at {
				l.Completed++
			}
		}
	}
	return ledgers(l)
}

// play plays an arrival-rate scenario on nodes that die and join at random.
func play(t *testing.T, rng *rand.Rand) *truth {
	s := executor.Scenario{Name: "rate", Executor: executor.ConstantArrivalRate, Rate: 1 + rng.Int64N(200), TimeUnit: second,
		StartTime: time.Duration(rng.IntN(3)) * second, Duration: time.Duration(5+rng.IntN(30)) * second, VULimit: 30}
	if rng.IntN(2) == 0 {
		s.Executor, s.StartRate = executor.RampingArrivalRate, rng.Int64N(100)
		s.Stages = []executor.Stage{{Duration: s.Duration / 2, Target: s.Rate}, {Duration: s.Duration / 3, Target: rng.Int64N(50)}}
	}
	w := &truth{rng: rng, in: hive.LedgerInput{Scenarios: []executor.Scenario{s}, Over: true}}
	end, last := s.End()+1, time.Duration(0) // a ramp's last iteration may be due right at its end
	stop := end
	if rng.IntN(3) == 0 {
		stop = time.Duration(rng.Int64N(int64(end)))
		w.in.Stopped, w.in.StoppedAt = true, stop
	}
	plan := share.Plan{Slots: 30, Scenarios: []share.Range{{Max: 30}}}
	owners := slices.Repeat([]int{share.Nobody}, 30)
	w.join(2 + rng.IntN(4))
	for epoch := 1; ; epoch++ {
		weights := make([]int, len(w.alive))
		for i := range weights {
			weights[i] = 30 + 10*i
		}
		owners = share.Redeal(owners, weights, weights)
		shares, err := share.Assign(plan, owners, len(weights))
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range w.alive {
			n.life.Stints = append(n.life.Stints, hive.Stint{Epoch: epoch, From: last, Share: shares[i]})
		}
		// In this epoch, one may die (its replacement comes with the next), or one joins.
		next := min(end, last+time.Duration(rng.Int64N(int64(6*second))))
		victim := -1
		if len(w.alive) > 1 && rng.IntN(3) > 0 {
			victim = rng.IntN(len(w.alive))
			w.kill(w.alive[victim], last, next)
		}
		w.execute(s, epoch, last, next, stop)
		if victim >= 0 {
			n := w.alive[victim]
			n.life.Replaced, n.life.Until = next < end, next
			w.dead, w.alive = append(w.dead, n), slices.Delete(w.alive, victim, victim+1)
			for slot, owner := range owners {
				if owner == victim {
					owners[slot] = share.Nobody
				} else if owner > victim {
					owners[slot]--
				}
			}
		}
		if rng.IntN(2) == 0 {
			w.join(1)
		}
		if last = next; last == end {
			break
		}
	}
	for _, n := range w.alive {
		n.life.Final, n.life.Ledgers = true, n.report(end+time.Minute)
		w.in.Lives = append(w.in.Lives, n.life)
	}
	for _, n := range w.dead {
		if n.reports >= 0 {
			n.life.Ledgers = n.report(n.reports)
		}
		w.in.Lives = append(w.in.Lives, n.life)
	}
	rng.Shuffle(len(w.in.Lives), func(i, j int) { w.in.Lives[i], w.in.Lives[j] = w.in.Lives[j], w.in.Lives[i] })
	return w
}

func (w *truth) join(n int) {
	for range n {
		w.alive = append(w.alive, &mortal{until: math.MaxInt64})
	}
}

// kill decides when in an epoch a node dies, when that is proven, and when it reported last: perhaps never.
func (w *truth) kill(n *mortal, from, until time.Duration) {
	between := func(a, b time.Duration) time.Duration { return a + time.Duration(w.rng.Int64N(int64(b-a)+1)) }
	n.until = between(from, until)
	n.life.Gone, n.life.Proven = true, between(n.until, until)
	n.reports = max(0, n.until-time.Duration(w.rng.Int64N(int64(2*second))))
	if n.life.Stints[0].From >= n.reports {
		n.reports = -1
	}
}

// execute begins what is due in an epoch, by the definition of who is to.
func (w *truth) execute(s executor.Scenario, epoch int, from, until, stop time.Duration) {
	schedule := s.ArrivalSchedule()
	first := s.DueBefore(from)
	owner := map[int64]*mortal{}
	for _, n := range w.alive {
		seq := n.life.Stints[len(n.life.Stints)-1].Share.Iterations(0)
		for k := int64(0); !seq.Empty() && first+seq.At(k) < s.DueBefore(until); k++ {
			owner[first+seq.At(k)] = n
		}
	}
	for i := first; i < s.DueBefore(until); i++ {
		due, _ := schedule(i)
		due += s.StartTime
		n := owner[i]
		if due >= stop || n == nil || due >= n.until {
			continue
		}
		e := event{due: due, took: time.Duration(w.rng.Int64N(int64(second))), dropped: w.rng.IntN(10) == 0}
		n.events = append(n.events, e)
		if !e.dropped {
			w.begun++
		}
	}
}

// Whatever happens, the classes sum to the plan, nothing counts as lost, dropped or cancelled that was begun, and what is
// unknown is no more than what was in flight or due between a last report and the proven end.
func TestLedgerNeverContradictsTheTruth(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w := play(t, rand.New(rand.NewPCG(seed, 4)))
			ledger, warnings := hive.NewLedger(w.in)
			l := ledger[0]
			if len(warnings) > 0 || total(l) != l.Planned {
				t.Fatalf("%+v sums to %g; warnings: %q", l, total(l), warnings)
			}
			begun := float64(w.begun)
			if known := l.Completed + l.Interrupted; known > begun || begun > known+l.Unknown {
				t.Fatalf("%g were begun, but the ledger says %g and %g unknown: %+v", begun, known, l.Unknown, l)
			}
			if l.Lost < 0 || l.Unknown < 0 || l.Cancelled < 0 || !w.in.Stopped && l.Cancelled != 0 {
				t.Fatalf("impossible classes: %+v", l)
			}
			if len(w.dead) == 0 && (l.Lost > 0 || l.Unknown > 0) {
				t.Fatalf("nobody died, but something is lost or unknown: %+v", l)
			}
			if got, _ := hive.NewLedger(settled(w.in)); !reflect.DeepEqual(got, ledger) {
				t.Fatalf("with closed accounts the ledger is %+v, want %+v", got, ledger)
			}
		})
	}
}

// settled closes the accounts of lives of which nothing more is to come, some at a time.
func settled(in hive.LedgerInput) hive.LedgerInput {
	var over, open []hive.Life
	for _, life := range in.Lives {
		if life.Replaced && (!in.Stopped || life.Until <= in.StoppedAt) {
			over = append(over, life)
		} else {
			open = append(open, life)
		}
	}
	in.Lives = open
	for some := range slices.Chunk(over, 2) {
		in.Settled = hive.Plus(in.Settled, hive.Settle(in.Scenarios, some))
	}
	return in
}

// worker is a node in a run of shared iterations.
type worker struct {
	begun, ended, marked, row int64
	report                    executor.Ledger // its last one
}

// Shared iterations are done once, however often nodes die and others take over what is left.
func TestLedgerOfSharedIterationsNeverContradictsTheTruth(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 5))
			s := executor.Scenario{Name: "shared", Executor: executor.SharedIterations, VUs: 10, Iterations: rng.Int64N(2000), MaxDuration: time.Minute}
			in := hive.LedgerInput{Scenarios: []executor.Scenario{s}, Over: true}
			alive := make([]*worker, 2+rng.IntN(6))
			begun := int64(0)
			for i := range alive {
				alive[i] = &worker{row: s.Iterations / int64(len(alive))}
				if i == 0 {
					alive[i].row += s.Iterations % int64(len(alive))
				}
			}
			in.Stopped = rng.IntN(3) == 0
			for step := 0; slices.ContainsFunc(alive, func(n *worker) bool { return n.begun < n.row }); step++ {
				if in.Stopped && step > 20 {
					break
				}
				for _, n := range alive {
					n.marked = max(n.marked, n.begun+rng.Int64N(50))
					goes := min(rng.Int64N(40), n.row-n.begun, n.marked-n.begun)
					n.begun += goes
					begun += goes
					n.ended += rng.Int64N(n.begun - n.ended + 1)
					if rng.IntN(2) == 0 {
						n.report = executor.Ledger{Started: n.begun, Completed: n.ended}
					}
				}
				if len(alive) == 1 || rng.IntN(8) > 0 {
					continue
				}
				dead := alive[0]
				alive = alive[1:]
				used := min(dead.marked, dead.row)
				taken := share.Cut([]share.Piece{{From: used, To: dead.row}}, slices.Repeat([]int{1}, len(alive)))
				for i, pieces := range taken {
					alive[i].row += share.Length(pieces)
				}
				in.Lives = append(in.Lives, hive.Life{Gone: true, Replaced: true, Ledgers: ledgers(dead.report),
					Counted: []hive.Counted{{Marks: executor.Marks{Limit: dead.marked}, Row: dead.row}}})
			}
			for _, n := range alive {
				in.Lives = append(in.Lives, hive.Life{Final: true, Ledgers: ledgers(executor.Ledger{Started: n.begun, Completed: n.begun})})
			}
			ledger, warnings := hive.NewLedger(in)
			l := ledger[0]
			if len(warnings) > 0 || total(l) != l.Planned {
				t.Fatalf("%+v sums to %g; warnings: %q", l, total(l), warnings)
			}
			if known, begun := l.Completed+l.Interrupted, float64(begun); known > begun || begun > known+l.Unknown {
				t.Fatalf("%g were begun, but the ledger says %g and %g unknown: %+v", begun, known, l.Unknown, l)
			}
			if l.Lost > 0 {
				t.Fatalf("what others took over is not lost: %+v", l)
			}
		})
	}
}

// vu is one VU of a run in which each has its iterations, and where it is.
type vu struct {
	node                int
	begins, next, ended int64 // on this node
	mark                int64
}

// The iterations of each VU are done once, though VUs move between nodes that die.
func TestLedgerOfPerVUIterationsNeverContradictsTheTruth(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 6))
			s := executor.Scenario{Name: "each", Executor: executor.PerVUIterations, VUs: 12, Iterations: 1 + rng.Int64N(200), MaxDuration: time.Minute}
			in := hive.LedgerInput{Scenarios: []executor.Scenario{s}, Over: true, Stopped: rng.IntN(3) == 0}
			nodes := 2 + rng.IntN(5)
			vus, reports, done := make([]vu, s.VUs), make([]executor.Ledger, nodes), make([]executor.Ledger, nodes)
			for slot := range vus {
				vus[slot].node = slot % nodes
			}
			begun := int64(0)
			for step := 0; slices.ContainsFunc(vus, func(v vu) bool { return v.next < s.Iterations }); step++ {
				if in.Stopped && step > 15 {
					break
				}
				for slot := range vus {
					v := &vus[slot]
					v.mark = max(v.mark, v.next+rng.Int64N(10))
					goes := min(rng.Int64N(8), v.mark-v.next, s.Iterations-v.next)
					v.next += goes
					begun += goes
					ended := rng.Int64N(v.next - v.begins - v.ended + 1)
					v.ended += ended
					done[v.node].Started += goes
					done[v.node].Completed += ended
				}
				for n := range reports {
					if rng.IntN(2) == 0 {
						reports[n] = done[n]
					}
				}
				if dead := nodes - 1; dead > 0 && rng.IntN(8) == 0 {
					c := hive.Counted{Marks: executor.Marks{Slots: map[int]int64{}}, Begins: map[int]int64{}}
					for slot := range vus {
						if v := &vus[slot]; v.node == dead {
							c.Marks.Slots[slot], c.Begins[slot] = v.mark, v.begins
							next := min(v.mark, s.Iterations)
							*v = vu{node: rng.IntN(dead), begins: next, next: next}
						}
					}
					in.Lives = append(in.Lives, hive.Life{Gone: true, Replaced: true, Ledgers: ledgers(reports[dead]), Counted: []hive.Counted{c}})
					nodes, reports = dead, reports[:dead]
				}
			}
			for n := range nodes {
				l := executor.Ledger{Started: done[n].Started, Completed: done[n].Started}
				in.Lives = append(in.Lives, hive.Life{Final: true, Ledgers: ledgers(l)})
			}
			ledger, warnings := hive.NewLedger(in)
			l := ledger[0]
			if len(warnings) > 0 || total(l) != l.Planned || l.Lost > 0 {
				t.Fatalf("%+v sums to %g; warnings: %q", l, total(l), warnings)
			}
			if known, begun := l.Completed+l.Interrupted, float64(begun); known > begun || begun > known+l.Unknown {
				t.Fatalf("%g were begun, but the ledger says %g and %g unknown: %+v", begun, known, l.Unknown, l)
			}
		})
	}
}

// body is one VU of a run whose VUs loop, and where it is.
type body struct {
	node         int           // whose iterations it runs, or that makes it ready
	next         int           // whose it is to be when its iteration ends; -1 for nobody's
	free         time.Duration // since when it runs nowhere; -1 while it runs
	ready, ended time.Duration // when it will run, or end its last iteration
}

// However VUs move between nodes that drain, make them ready and die, a VU's time is active where it ran as far as that was
// reported, handed over where it ran in the end, and lost otherwise; all of it makes up the plan.
func TestLedgerOfLoopingVUsNeverContradictsTheTruth(t *testing.T) {
	const step = 10 * time.Millisecond
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			s := executor.Scenario{Name: "loop", Executor: executor.ConstantVUs, VUs: 12, Duration: 30 * second}
			in := hive.LedgerInput{Scenarios: []executor.Scenario{s}, Over: true}
			nodes := 3 + rng.IntN(4)
			counts, reports := make([]executor.Ledger, nodes), make([]executor.Ledger, nodes)
			gone := make([]bool, nodes)
			bodies := make([]body, s.VUs)
			for slot := range bodies {
				bodies[slot] = body{node: slot % nodes, next: -1, free: -1}
			}
			another := func() int {
				for {
					if n := rng.IntN(nodes); !gone[n] {
						return n
					}
				}
			}
			worked := 0.0 // for how long VUs ran
			for now := time.Duration(0); now < s.Duration; now += step {
				for slot := range bodies {
					v := &bodies[slot]
					switch {
					case v.free < 0 && v.next >= 0 && now >= v.ended: // its last iteration is over
						v.node, v.next, v.free, v.ready = v.next, -1, now, now+time.Duration(rng.IntN(3000))*time.Millisecond
					case v.free >= 0 && now >= v.ready: // its new node has it
						counts[v.node].Handover += (now - v.free).Seconds()
						v.free = -1
					}
					if v.free < 0 {
						counts[v.node].Active += step.Seconds()
						worked += step.Seconds()
					}
				}
				for n := range counts {
					if !gone[n] && rng.IntN(50) == 0 {
						reports[n] = counts[n]
					}
				}
				switch rng.IntN(200) {
				case 0: // some VUs move between living nodes
					for slot := range bodies {
						if v := &bodies[slot]; v.free < 0 && v.next < 0 && rng.IntN(3) == 0 {
							v.next, v.ended = another(), now+time.Duration(rng.IntN(5000))*time.Millisecond
						}
					}
				case 1: // a node dies: nobody knows until when its VUs ran, and others begin with them a while later
					dead := another()
					if alive := slices.DeleteFunc(slices.Clone(gone), func(gone bool) bool { return gone }); len(alive) == 1 {
						continue
					}
					gone[dead] = true
					for slot := range bodies {
						v := &bodies[slot]
						if v.next == dead {
							v.next = another()
						}
						if v.node == dead {
							word := now + time.Duration(rng.IntN(2000))*time.Millisecond
							*v = body{node: max(v.next, 0), next: -1, free: word, ready: word + time.Duration(rng.IntN(3000))*time.Millisecond}
							if gone[v.node] {
								v.node = another()
							}
						}
					}
				}
			}
			for n := range nodes {
				if gone[n] {
					in.Lives = append(in.Lives, hive.Life{Gone: true, Replaced: true, Ledgers: ledgers(reports[n])})
				} else {
					in.Lives = append(in.Lives, hive.Life{Final: true, Ledgers: ledgers(counts[n])})
				}
			}
			ledger, warnings := hive.NewLedger(in)
			l := ledger[0]
			if len(warnings) > 0 || math.Abs(total(l)-l.Planned) > 1e-6 {
				t.Fatalf("%+v sums to %g; warnings: %q", l, total(l), warnings)
			}
			if missing := l.Lost + l.Handover; l.Active > worked+1e-6 || missing < l.Planned-worked-1e-6 || l.Lost < 0 {
				t.Fatalf("VUs ran for %g of %g s, and the ledger says %+v", worked, l.Planned, l)
			}
			closed, _ := hive.NewLedger(settled(in))
			if got := closed[0]; !reflect.DeepEqual(rounded(got), rounded(l)) {
				t.Fatalf("with closed accounts the ledger is %+v, want %+v", got, l)
			}
		})
	}
}
