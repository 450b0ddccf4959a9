package engine_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine/metric"
)

// data_sent and data_received are recorded once an iteration, and once for setup() and teardown(), and are the bytes
// on the wire.
func TestDataSentAndReceived(t *testing.T) {
	t.Parallel()
	server := serve(t)
	var raw samples
	with := target(server.URL)
	with.raw = raw.add
	s := prepare(t, bundle(t, `
		import http from 'k6/http';
		export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 2, iterations: 3 } } };
		const three = () => { for (let i = 0; i < 3; i++) http.get(__ENV.TARGET + '/' + i) };
		export const setup = three, teardown = three;
		export default () => { three(); http.batch([__ENV.TARGET + '/a', __ENV.TARGET + '/b']); if (__ITER === 2) throw new Error('x') };`), with)
	s.pass(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"data_sent": server.received.Load(), "data_received": server.sent.Load()} {
		if got := int64(s.count(name)); got != want {
			t.Errorf("%s: got %d bytes, the server says %d", name, got, want)
		}
		if got := len(raw.of(name)); got != 6+2 {
			t.Errorf("%s: got %d samples, want 8", name, got)
		}
		perGroup := map[string]int{}
		for _, x := range raw.of(name) {
			if x.Value <= 0 {
				t.Errorf("%s: a sample of %v", name, x.Value)
			}
			group, _ := x.Tags.Get("group")
			scenario, _ := x.Tags.Get("scenario")
			perGroup[group+"/"+scenario]++
		}
		if perGroup["::setup/"] != 1 || perGroup["::teardown/"] != 1 || perGroup["/s"] != 6 {
			t.Errorf("%s: samples by group and scenario: %v", name, perGroup)
		}
	}
	if got := s.count("http_reqs"); got != 6*5+2*3 {
		t.Errorf("http_reqs: got %v, want 36", got)
	}
}

// vus and vus_max are recorded each second from the initialisation on.
func TestGauges(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		export const options = { tags: { run: 'r' }, setupTimeout: '2m', scenarios: { s: {
			executor: 'ramping-vus', startVUs: 1, stages: [{ duration: '0s', target: 3 }, { duration: '2s', target: 3 }], gracefulStop: '5s',
		} } };
		export function setup() { sleep(90.5) }
		export default () => sleep(0.4);`)
	synctest.Test(t, func(t *testing.T) {
		var raw samples
		s := prepare(t, b, setting{raw: raw.add})
		s.pass(t)
		time.Sleep(5 * time.Second) // after the end nothing more is recorded
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		vus, most := raw.of("vus"), raw.of("vus_max")
		if len(vus) != 92 || len(most) != 92 {
			t.Fatalf("%d samples of vus, %d of vus_max; want 92: 90 in setup and 2 in the run", len(vus), len(most))
		}
		for i := range vus {
			want := 0.0
			if i >= 90 {
				want = 3
			}
			if vus[i].Value != want || most[i].Value != 3 {
				t.Errorf("second %d: vus %v, vus_max %v; want %v, 3", i+1, vus[i].Value, most[i].Value, want)
			}
			if got := vus[i].Tags.Pairs(); !slices.Equal(got, []metric.Tag{{Key: "run", Value: "r"}}) {
				t.Errorf("tags: %v", got)
			}
		}
		for _, v := range []*metric.View{s.view(), metric.NewView(metric.Merge(s.Snapshot()))} {
			if a := v.Get("vus"); a.Last != 3 || a.Min != 0 || a.Max != 3 {
				t.Errorf("vus: last %v, min %v, max %v; want 3, 0, 3", a.Last, a.Min, a.Max)
			}
		}
	})
}

// The VUs of several engines are added second by second, however long their setup took.
func TestGaugesAddUp(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		export const options = { setupTimeout: '2m', scenarios: { s: { executor: 'constant-vus', vus: 8, duration: '4s' } } };
		export function setup() { sleep(100) }
		export default () => sleep(0.3);`)
	synctest.Test(t, func(t *testing.T) {
		engines := fleet(t, b, setting{}, 100, 300)
		for _, s := range engines {
			if err := s.Init(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if _, err := engines[0].Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now().Add(1500 * time.Millisecond)
		runAll(t, engines, start)
		v := metric.NewView(together(t, engines))
		if a := v.Get("vus"); a.Last != 8 || a.Max != 8 || a.Min != 0 {
			t.Errorf("vus: last %v, min %v, max %v; want 8, 0, 8", a.Last, a.Min, a.Max)
		}
		if a := v.Get("vus_max"); a.Last != 8 || a.Max != 8 {
			t.Errorf("vus_max: last %v, max %v; want 8, 8", a.Last, a.Max)
		}
	})
}

// Thresholds see submetrics, also those by tags that are in no series.
func TestSubmetricThresholds(t *testing.T) {
	t.Parallel()
	server := serve(t)
	s := prepare(t, bundle(t, `
		import http from 'k6/http';
		import { check } from 'k6';
		import { Counter } from 'k6/metrics';
		const mine = new Counter('mine');
		export const options = {
			iterations: 4,
			thresholds: {
				'http_reqs{status:404}': ['count==4'],
				'http_reqs{method:GET,expected_response:true}': ['count==8', { threshold: 'count>100', abortOnFail: true, delayAbortEval: '1m' }],
				'http_req_failed{name:front}': [],
				'mine{a:b}': ['count==4'],
				'mine{a:none}': ['count==0'],
				'checks{check:ok}': ['rate==0.5'],
				'http_req_duration': ['p(95)<60000'],
				iterations: ['count==4'],
			},
		};
		export default () => {
			http.get(__ENV.TARGET + '/x', { tags: { name: 'front' } });
			const r = http.get(__ENV.TARGET + '/status/404');
			http.get(__ENV.TARGET + '/y');
			mine.add(1, { a: 'b' });
			mine.add(10, { a: 'c' });
			check(r, { ok: (r) => r.status === 404 && __ITER % 2 === 0 });
		}`), target(server.URL))
	s.pass(t)
	v := s.view()
	for key, want := range map[string]float64{
		"http_reqs": 12, "http_reqs{status:404}": 4, "http_reqs{method:GET,expected_response:true}": 8, "mine": 44, "mine{a:b}": 4,
	} {
		if a := v.Get(key); a == nil || a.Sum != want {
			t.Errorf("%s: got %+v, want %v", key, a, want)
		}
	}
	if a := v.Get("http_req_failed{name:front}"); a == nil || a.Total != 4 || a.Trues != 0 {
		t.Errorf("http_req_failed of front: %+v", a)
	}
	if a := v.Get("http_req_duration{expected_response:true}"); a == nil || a.Sketch.Count() != 8 {
		t.Errorf("http_req_duration{expected_response:true}: %+v", a)
	}
	if a := v.Get("mine{a:none}"); a != nil {
		t.Errorf("mine{a:none}: %+v", a)
	}
	failed := []string{"http_reqs{method:GET,expected_response:true}"}
	if j := s.Thresholds().Judge(v, 30*time.Second, false); !slices.Equal(j.Failed, failed) || j.Abort {
		t.Errorf("after 30 s: %+v", j)
	}
	if j := s.Thresholds().Judge(v, 61*time.Second, false); !slices.Equal(j.Failed, failed) || !j.Abort {
		t.Errorf("after 61 s: %+v", j)
	}
	if j := s.Thresholds().Judge(v, 61*time.Second, true); !slices.Equal(j.Failed, failed) || j.Abort || len(j.Results["mine{a:none}"]) != 1 {
		t.Errorf("at the end: %+v", j)
	}
}

// Raw gets every sample, with what is in no series: the URL, the VU and its iteration.
func TestRaw(t *testing.T) {
	t.Parallel()
	server := serve(t)
	var raw samples
	with := target(server.URL)
	with.raw = raw.add
	s := prepare(t, bundle(t, `
		import http from 'k6/http';
		import { Trend } from 'k6/metrics';
		const mine = new Trend('mine');
		export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 2, iterations: 2 } } };
		export function setup() { mine.add(100) }
		export default () => { http.get(__ENV.TARGET + '/?i=' + __ITER, { tags: { name: 'n' } }); mine.add(10 * __VU + __ITER, { k: 'v' }) }`), with)
	began := time.Now()
	s.pass(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := raw.values("mine"), []float64{10, 11, 20, 21, 100}; !slices.Equal(got, want) {
		t.Errorf("mine: got %v, want %v", got, want)
	}
	for _, x := range raw.of("mine") {
		vu, iter := int64(x.Value)/10, int64(x.Value)%10
		if x.Value == 100 {
			vu, iter = 0, 0
		}
		if x.Extra.VU != vu || x.Extra.Iter != iter {
			t.Errorf("sample %v says VU %d, iteration %d", x.Value, x.Extra.VU, x.Extra.Iter)
		}
		if value, ok := x.Tags.Get("k"); ok != (vu > 0) || ok && value != "v" {
			t.Errorf("sample %v: tags %v", x.Value, x.Tags.Pairs())
		}
		if x.Time.Before(began) || x.Time.After(time.Now()) {
			t.Errorf("sample %v was measured at %v", x.Value, x.Time)
		}
	}
	sums := map[string]float64{}
	for _, x := range raw.all {
		if x.Metric.Kind == metric.Counter {
			sums[x.Metric.Name] += x.Value
		}
	}
	for name, sum := range sums {
		if got := s.count(name); got != sum {
			t.Errorf("%s: the samples make %v, the series %v", name, sum, got)
		}
	}
	if sums["http_reqs"] != 4 || sums["iterations"] != 4 {
		t.Errorf("sums: %v", sums)
	}
}

// exec.instance and Progress say the same.
func TestProgress(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import exec from 'k6/execution';
		import { sleep } from 'k6';
		export const options = { scenarios: { s: { executor: 'constant-vus', vus: 2, duration: '4s' } } };
		export default () => {
			sleep(0.75);
			if (__VU === 1) console.log([exec.instance.iterationsCompleted, exec.instance.iterationsInterrupted, exec.instance.vusActive,
				exec.instance.vusInitialized, exec.instance.currentTestRunDuration, exec.scenario.progress].join(' '));
			sleep(0.75);
		}`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		if p := s.Progress(); p.VUsMax != 0 || p.Elapsed != 0 || p.Scenarios[0].Fraction != 0 {
			t.Errorf("at first: %+v", p)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.life(t.Context()) }()
		time.Sleep(2 * time.Second)
		p := s.Progress()
		if p.Elapsed != 2*time.Second || p.VUs != 2 || p.VUsMax != 2 || p.Iterations != 2 || p.Scenarios[0].Fraction != 0.5 || p.Scenarios[0].Name != "s" {
			t.Errorf("half way: %+v", p)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.log.wantSaid(t, "0 0 2 2 750 0.1875", "2 0 2 2 2250 0.5625", "4 0 2 2 3750 0.9375")
		if p := s.Progress(); p.Elapsed != 4500*time.Millisecond || p.VUs != 0 || p.Scenarios[0].Fraction != 1 {
			t.Errorf("at the end: %+v", p)
		}
	})
}
