package engine_test

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Each scenario has its own start, function, environment and tags.
func TestScenarios(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import exec from 'k6/execution';
		import { sleep } from 'k6';
		import { Counter } from 'k6/metrics';
		const seen = new Counter('seen');
		export const options = {
			tags: { run: 'r', which: 'run' },
			scenarios: {
				a: { executor: 'per-vu-iterations', vus: 2, iterations: 2, env: { WHO: 'A' }, tags: { which: 'a' } },
				b: { executor: 'shared-iterations', vus: 1, iterations: 3, startTime: '5s', exec: 'other', env: { MORE: 'yes' } },
			},
		};
		const note = (f) => {
			seen.add(1, { f, who: String(__ENV.WHO), more: String(__ENV.MORE), name: exec.scenario.name,
				executor: exec.scenario.executor, at: String(Date.now() - exec.scenario.startTime) });
			sleep(1);
		};
		export default () => note('default');
		export const other = () => note('other');`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{env: map[string]string{"WHO": "global"}})
		began := time.Now()
		s.pass(t)
		if got, want := time.Since(began), 8*time.Second; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
		var got [][]string
		for _, g := range s.view().GroupBy("seen", "scenario", "name", "executor", "f", "who", "more", "which", "run", "at") {
			if g.Values[0] != g.Values[1] {
				t.Errorf("tag scenario is %q in scenario %q", g.Values[0], g.Values[1])
			}
			got = append(got, append(g.Values[1:], jsonText(g.Sum)))
		}
		want := [][]string{
			{"a", "per-vu-iterations", "default", "A", "undefined", "a", "r", "0", "2"},
			{"a", "per-vu-iterations", "default", "A", "undefined", "a", "r", "1000", "2"},
			{"b", "shared-iterations", "other", "global", "yes", "run", "r", "0", "1"},
			{"b", "shared-iterations", "other", "global", "yes", "run", "r", "1000", "1"},
			{"b", "shared-iterations", "other", "global", "yes", "run", "r", "2000", "1"},
		}
		if !slices.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Errorf("got\n%q, want\n%q", got, want)
		}
		if got := s.view().GroupBy("iterations", "scenario", "which"); len(got) != 2 || got[0].Sum != 4 || got[1].Sum != 3 {
			t.Errorf("iterations: %+v", got)
		}
	})
}

func jsonText(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}

// Scenarios that do not overlap share VUs: the id, script state and __ITER go on; environment and tags are as new.
func TestVUReuse(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import exec from 'k6/execution';
		console.log('init ' + __VU);
		let state = 0;
		export const options = { scenarios: {
			one: { executor: 'per-vu-iterations', iterations: 2, maxDuration: '1s', gracefulStop: '0s', env: { E: '1' } },
			two: { executor: 'per-vu-iterations', iterations: 2, startTime: '1s' },
		} };
		export default () => {
			state++;
			console.log([exec.scenario.name, __VU, exec.vu.idInTest, __ITER, exec.vu.iterationInInstance, exec.vu.iterationInScenario,
				exec.scenario.iterationInTest, state, __ENV.E, exec.vu.metrics.tags.mine].join(' '));
			__ENV.E = 'changed';
			exec.vu.metrics.tags.mine = 'kept';
		}`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		s.pass(t)
		s.log.wantSaid(t, "init 0", "init 1",
			"one 1 1 0 0 0 0 1 1 ", "one 1 1 1 1 1 1 2 changed kept",
			"two 1 1 2 2 0 0 3  ", "two 1 1 3 3 1 1 4 changed kept")
		if p := s.Progress(); p.VUsMax != 1 {
			t.Errorf("VUs: got %d, want 1", p.VUsMax)
		}
	})
}

// An arrival rate without a free VU drops iterations and initialises VUs up to maxVUs.
func TestUnplannedVUsAndDrops(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		console.log('init ' + __VU);
		export const options = { tags: { run: 'r' }, scenarios: { s: {
			executor: 'constant-arrival-rate', rate: 1, timeUnit: '1s', duration: '10s', preAllocatedVUs: 1, maxVUs: 3, tags: { own: 'x' },
		} } };
		export default () => sleep(4.5);`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		if err := s.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p := s.Progress(); p.VUsMax != 1 {
			t.Errorf("initialised before the start: %d, want 1", p.VUsMax)
		}
		if err := s.Run(t.Context(), time.Now(), whole, nil); err != nil {
			t.Fatal(err)
		}
		// VU 1 starts at 0; 1 is dropped and makes VU 2, which starts at 2; 3 makes VU 3, which starts at 4; VU 1 is
		// free again for 5, VU 2 for 7, VU 3 for 9; 6 and 8 are dropped.
		s.wantTally(t, 6, 0, 4)
		s.log.wantSaid(t, "init 0", "init 1", "init 2", "init 3")
		s.log.want(t, "all 3 VUs are busy", "scenario=s")
		groups := s.view().GroupBy("dropped_iterations", "scenario", "run", "own", "group")
		if len(groups) != 1 || groups[0].Sum != 4 || !slices.Equal(groups[0].Values, []string{"s", "r", "", ""}) {
			t.Errorf("dropped_iterations: %+v", groups)
		}
		if late := s.Progress().Scenarios[0].Late; late != 0 {
			t.Errorf("lateness: got %v, want 0", late)
		}
	})
}

// An unplanned VU whose init code fails ends the test.
func TestUnplannedVUFails(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		if (__VU === 2) throw new Error('no second');
		export const options = { scenarios: { s: {
			executor: 'constant-arrival-rate', rate: 1, duration: '10s', preAllocatedVUs: 1, maxVUs: 2,
		} } };
		export default () => sleep(5);`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		err := s.life(t.Context())
		wantKind(t, err, "script")
		s.wantTally(t, 0, 1, 1)
	})
}

func TestDroppedAtMaxDuration(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		export const options = { scenarios: {
			shared: { executor: 'shared-iterations', vus: 2, iterations: 10, maxDuration: '3s' },
			each: { executor: 'per-vu-iterations', vus: 2, iterations: 5, maxDuration: '3s' },
		} };
		export default () => sleep(2);`)
	synctest.Test(t, func(t *testing.T) {
		var raw samples
		s := prepare(t, b, setting{raw: raw.add})
		s.pass(t)
		s.wantTally(t, 8, 0, 12)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := raw.values("dropped_iterations"), []float64{3, 3, 6}; !slices.Equal(got, want) {
			t.Errorf("samples: got %v, want %v: one of each VU, and one for all that are shared", got, want)
		}
		var vus []int64
		for _, x := range raw.of("dropped_iterations") {
			vus = append(vus, x.Extra.VU)
		}
		slices.Sort(vus)
		if len(slices.Compact(vus)) != 3 || vus[0] != 0 {
			t.Errorf("VUs of the samples: %v", vus)
		}
	})
}
