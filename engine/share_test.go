package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hive/archive"
	"hive/engine/metric"
	"hive/engine/share"
)

// fleet prepares engines that together run the whole of a test, like the nodes of a hive with these capacities.
func fleet(t testing.TB, b *archive.Bundle, with setting, capacities ...int) []*subject {
	t.Helper()
	var all []*subject
	for i := range capacities {
		with.share = func(p share.Plan) share.Share {
			shares, err := share.Split(p, capacities)
			if err != nil {
				t.Fatal(err)
			}
			return travelled(t, shares[i])
		}
		all = append(all, prepare(t, b, with))
	}
	return all
}

// travelled is a share as it arrives at a node.
func travelled(t testing.TB, s share.Share) share.Share {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var arrived share.Share
	if err := json.Unmarshal(data, &arrived); err != nil {
		t.Fatal(err)
	}
	return arrived
}

// runTogether runs engines at the same instant.
func runTogether(t testing.TB, engines []*subject) {
	t.Helper()
	for _, s := range engines {
		if err := s.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	runAll(t, engines, time.Now())
}

func runAll(t testing.TB, engines []*subject, start time.Time) {
	t.Helper()
	var running sync.WaitGroup
	for _, s := range engines {
		running.Go(func() {
			if err := s.Run(t.Context(), start, whole, nil); err != nil {
				t.Errorf("%v\n%s", err, s.log)
			}
		})
	}
	running.Wait()
}

// together merges the engines' metrics as they arrive at a leader.
func together(t testing.TB, engines []*subject) *metric.Snapshot {
	t.Helper()
	var snaps []*metric.Snapshot
	for _, s := range engines {
		data, err := s.Snapshot().MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		arrived := new(metric.Snapshot)
		if err := arrived.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		snaps = append(snaps, arrived)
	}
	return metric.Merge(snaps...)
}

// Every id is unique over all engines, and together they do what one would.
func TestSharesMakeOneWhole(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import exec from 'k6/execution';
		import { sleep } from 'k6';
		import { Trend } from 'k6/metrics';
		const names = ['shared', 'each', 'looping', 'rate', 'reins'];
		const iterations = Object.fromEntries(names.map((n) => [n, new Trend(n + '_iteration')]));
		const vus = Object.fromEntries(names.map((n) => [n, new Trend(n + '_vu')]));
		const locals = Object.fromEntries(names.map((n) => [n, new Trend(n + '_local')]));
		export const options = { scenarios: {
			shared: { executor: 'shared-iterations', vus: 10, iterations: 101 },
			each: { executor: 'per-vu-iterations', vus: 7, iterations: 5 },
			looping: { executor: 'ramping-vus', startVUs: 0, stages: [{ duration: '5s', target: 8 }, { duration: '5s', target: 0 }] },
			rate: { executor: 'constant-arrival-rate', rate: 20, duration: '5s', preAllocatedVUs: 8 },
			reins: { executor: 'externally-controlled', vus: 4, maxVUs: 5, duration: '3s' },
		} };
		export default () => {
			const name = exec.scenario.name;
			iterations[name].add(exec.scenario.iterationInTest);
			locals[name].add(exec.scenario.iterationInInstance);
			vus[name].add(exec.vu.idInTest);
			sleep(0.09);
		}`)
	synctest.Test(t, func(t *testing.T) {
		var raw samples
		engines := fleet(t, b, setting{raw: raw.add}, 100, 100, 150)
		runTogether(t, engines)
		for _, s := range engines {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for name, want := range map[string]int{"shared": 101, "each": 35, "rate": 100} {
			if got := raw.values(name + "_iteration"); !slices.Equal(got, upTo(want)) {
				t.Errorf("%s: iterations %v, want 0 to %d", name, got, want-1)
			}
		}
		if got, want := len(raw.values("reins_iteration")), 4*34; got != want {
			t.Errorf("reins: %d iterations began, want %d", got, want)
		}
		owners := map[float64]string{}
		for _, name := range []string{"shared", "each", "looping", "rate", "reins"} {
			ids := raw.values(name + "_iteration")
			if len(ids) == 0 || len(slices.Compact(ids)) != len(raw.values(name+"_iteration")) {
				t.Errorf("%s: an iteration id was used twice", name)
			}
			for _, vu := range slices.Compact(raw.values(name + "_vu")) {
				if other, taken := owners[vu]; taken {
					t.Errorf("VU %v is in both %s and %s, which overlap", vu, name, other)
				}
				owners[vu] = name
			}
		}
		if got, want := len(owners), 10+7+8+8+4; got != want { // all but the fifth of reins
			t.Errorf("VUs that ran: %d, want %d", got, want)
		}
		total, interrupted := 0.0, int64(0)
		for i, s := range engines {
			p := s.Progress()
			if p.Iterations == 0 || p.Dropped != 0 {
				t.Errorf("engine %d: %+v", i, p)
			}
			total, interrupted = total+s.count("iterations"), interrupted+p.Interrupted
			for _, name := range []string{"shared", "each", "rate"} {
				if got, n := s.view().Get(name+"_local").Sketch, s.view().GroupBy("iterations", "scenario"); got.Min() != 0 || !hasGroup(n, name, got.Max()+1) {
					t.Errorf("engine %d: %s: iterationInInstance ends at %v, but %+v", i, name, got.Max(), n)
				}
			}
		}
		if interrupted != 4 {
			t.Errorf("%d iterations were interrupted, want the 4 of reins that its end cuts off", interrupted)
		}
		if got := metric.NewView(together(t, engines)).Get("iterations").Sum; got != total {
			t.Errorf("iterations: %v together, %v one by one", got, total)
		}
	})
}

func hasGroup(groups []metric.Group, value string, sum float64) bool {
	return slices.ContainsFunc(groups, func(g metric.Group) bool { return g.Values[0] == value && g.Sum == sum })
}

// The merged metrics of four engines are those of one engine that measured the same.
func TestMergedEqualsWhole(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import exec from 'k6/execution';
		import { check, group, sleep } from 'k6';
		import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
		const trend = new Trend('custom_trend'), time = new Trend('custom_time', true), count = new Counter('custom_count');
		const rate = new Rate('custom_rate'), gauge = new Gauge('custom_gauge');
		export const options = {
			thresholds: { 'custom_trend{parity:1}': ['p(95)<1e9'], 'custom_count{parity:0}': ['count==1000'] },
			scenarios: { s: { executor: 'shared-iterations', vus: 16, iterations: 2000 } },
		};
		export default () => {
			const i = exec.scenario.iterationInTest, tags = { parity: String(i % 2) };
			const v = ((i * 7919) % 2000 - 300) * Math.pow(1.01, i % 500) / 7;
			trend.add(v, tags);
			time.add(Math.abs(v));
			count.add(1, tags);
			count.add(0.1 * i);
			rate.add(i % 3 === 0);
			gauge.add(7);
			group('g', () => check(i, { 'is even': (n) => n % 2 === 0 }, tags));
			sleep(0.1);
		}`)
	synctest.Test(t, func(t *testing.T) {
		one := fleet(t, b, setting{}, 1000)
		four := fleet(t, b, setting{}, 100, 200, 300, 400)
		runTogether(t, one)
		runTogether(t, four)
		want, got := metric.NewView(together(t, one)), metric.NewView(together(t, four))
		if !slices.Equal(got.Keys(), want.Keys()) {
			t.Errorf("keys: got %q, want %q", got.Keys(), want.Keys())
		}
		for _, key := range want.Keys() {
			g, w := got.Get(key), want.Get(key)
			if g.Sum != w.Sum || g.Trues != w.Trues || g.Total != w.Total || g.Last != w.Last || g.Min != w.Min || g.Max != w.Max {
				t.Errorf("%s: got %+v, want %+v", key, g, w)
			}
			if w.Sketch != nil && !bytes.Equal(encoded(t, g.Sketch), encoded(t, w.Sketch)) {
				t.Errorf("%s: the sketches differ: p(95) is %v and %v", key, g.Sketch.Quantile(0.95), w.Sketch.Quantile(0.95))
			}
		}
		judgement := four[0].Thresholds().Judge(got, time.Minute, true)
		if len(judgement.Failed) > 0 || len(judgement.Results) != 2 {
			t.Errorf("thresholds: %+v", judgement)
		}
		if vus := got.Get("vus"); vus == nil || vus.Max != 16 || got.Get("vus_max").Min != 16 {
			t.Errorf("vus: %+v, vus_max: %+v", vus, got.Get("vus_max"))
		}
	})
}

func encoded(t testing.TB, s *metric.Sketch) []byte {
	t.Helper()
	data, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A node without VUs of a scenario leaves it to the others.
func TestShareWithoutVUs(t *testing.T) {
	t.Parallel()
	b := bundle(t, `export const options = { vus: 1, iterations: 5 }; export default () => {}`)
	engines := fleet(t, b, setting{}, 10, 10)
	runTogether(t, engines)
	sum := int64(0)
	for _, s := range engines {
		sum += s.Progress().Iterations
	}
	if sum != 5 {
		t.Errorf("got %d iterations, want 5", sum)
	}
	idle := engines[1]
	if p := idle.Progress(); p.VUsMax != 0 || p.Scenarios[0].Fraction != 1 {
		t.Errorf("the node without VUs: %+v", p)
	}
}

// At a constant rate every iteration starts once, on one engine and on four, against a real server.
func TestArrivalsReachTheTargetOnce(t *testing.T) {
	t.Parallel()
	const iterations = 600
	script := fmt.Sprintf(`
		import http from 'k6/http';
		import exec from 'k6/execution';
		export const options = { scenarios: { s: {
			executor: 'constant-arrival-rate', rate: %d, duration: '3s', preAllocatedVUs: 48, maxVUs: 48,
		} } };
		export default () => { http.get(__ENV.TARGET + '/?id=' + exec.scenario.iterationInTest) }`, iterations/3)
	for _, capacities := range [][]int{{100}, {100, 200, 300, 400}} {
		t.Run(fmt.Sprint(len(capacities), " engines"), func(t *testing.T) {
			t.Parallel()
			server := serve(t)
			engines := fleet(t, bundle(t, script), target(server.URL), capacities...)
			runTogether(t, engines)
			var done, dropped int64
			for _, s := range engines {
				p := s.Progress()
				done, dropped = done+p.Iterations, dropped+p.Dropped
			}
			if done+dropped != iterations {
				t.Errorf("%d iterations ran and %d were dropped, want %d together", done, dropped, iterations)
			}
			server.mu.Lock()
			defer server.mu.Unlock()
			if int64(len(server.ids)) != done {
				t.Errorf("%d ids arrived of %d iterations", len(server.ids), done)
			}
			for i := range iterations {
				if n := server.ids[fmt.Sprint(i)]; n > 1 || (n == 0 && dropped == 0) {
					t.Errorf("id %d arrived %d times", i, n)
				}
			}
		})
	}
}

// Without the noise of a machine each iteration starts exactly when it is due.
func TestArrivalsAreOnTime(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import exec from 'k6/execution';
		import { sleep } from 'k6';
		import { Trend } from 'k6/metrics';
		const id = new Trend('id');
		export const options = { scenarios: { s: { executor: 'constant-arrival-rate', rate: 200, duration: '3s', preAllocatedVUs: 30 } } };
		export default () => { id.add(exec.scenario.iterationInTest); sleep(0.1) }`)
	for _, capacities := range [][]int{{100}, {100, 200, 300, 400}} {
		synctest.Test(t, func(t *testing.T) {
			var raw samples
			engines := fleet(t, b, setting{raw: raw.add}, capacities...)
			for _, s := range engines {
				if err := s.Init(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			start := time.Now()
			runAll(t, engines, start)
			for _, s := range engines {
				if p := s.Progress(); p.Dropped != 0 || p.Scenarios[0].Late != 0 {
					t.Errorf("%d engines: %+v", len(capacities), p)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			starts := raw.of("id")
			if len(starts) != 600 {
				t.Fatalf("%d engines: %d iterations, want 600", len(capacities), len(starts))
			}
			for i, x := range starts {
				if due := start.Add(time.Duration(i) * 5 * time.Millisecond); x.Value != float64(i) || !x.Time.Equal(due) {
					t.Fatalf("%d engines: start %d was of id %v, %v after its time", len(capacities), i, x.Value, x.Time.Sub(due))
				}
			}
		})
	}
}
