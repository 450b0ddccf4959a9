package engine_test

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestExternallyControlled(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		export const options = { scenarios: {
			fixed: { executor: 'per-vu-iterations' },
			reins: { executor: 'externally-controlled', vus: 2, maxVUs: 6, duration: '10s', exec: 'controlled' },
		} };
		export default () => {};
		export const controlled = () => sleep(0.1);`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		began := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- s.life(t.Context()) }()
		vus := func(want int) {
			t.Helper()
			time.Sleep(time.Second)
			if p := s.Progress(); p.VUs != want || p.VUsMax != 7 {
				t.Errorf("after %v: %d of %d VUs are active, want %d of 7", time.Since(began), p.VUs, p.VUsMax, want)
			}
		}
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		vus(2)
		ok(s.Scale("reins", 5, 6))
		vus(5)
		ok(s.Scale("", 1, 0))
		vus(1)
		ok(s.Scale("", 6, 0))
		vus(6)
		ok(s.Pause(""))
		vus(0)
		before := s.Progress().Iterations
		vus(0)
		if after := s.Progress().Iterations; after != before {
			t.Errorf("%d iterations ended while paused", after-before)
		}
		ok(s.Resume("reins"))
		vus(6)
		ok(s.Scale("", 0, 0))
		vus(0)
		for _, refused := range []error{
			s.Scale("", 7, 0), s.Scale("", -1, 0), s.Scale("", 6, 7), s.Scale("fixed", 1, 0), s.Pause("nobody"), s.Resume("nobody"),
		} {
			if refused == nil {
				t.Error("nonsense was not refused")
			}
		}
		ok(<-ended)
		if got, want := time.Since(began), 12*time.Second; got != want {
			t.Errorf("took %v, want %v: the clock stands while paused", got, want)
		}
	})
}

func TestControlWithoutControlled(t *testing.T) {
	t.Parallel()
	s := begin(t, `export default () => {}`)
	if s.Pause("") == nil || s.Resume("") == nil || s.Scale("", 1, 1) == nil {
		t.Error("a test without an externally-controlled scenario can be controlled")
	}
}
