package engine_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// sleepers makes a bundle of a script whose VUs do something and sleep for as long as the test lasts.
func sleepers(t testing.TB, vus int, imports, body, url string) *subject {
	t.Helper()
	return prepare(t, bundle(t, fmt.Sprintf(`%s
		export const options = { scenarios: { s: { executor: 'constant-vus', vus: %d, duration: '1h' } } };
		export default function () { %s }`, imports, vus, body)), target(url))
}

// held is what objects in use and stacks take, in bytes.
func held() float64 {
	runtime.GC() // twice, as pools keep what they hold for one more collection
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// TestMemoryOfVUs holds what one more VU takes when it is made, and while it sleeps after a request. The bounds are
// about half above what is measured.
func TestMemoryOfVUs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector needs memory of its own")
	}
	const few, many = 100, 1100
	for _, tt := range []struct {
		name, imports, body string
		made, asleep        float64 // bytes for each VU at most; asleep 0: not run
	}{
		{"empty", "", "", 12_000, 0},
		{"get", `import http from 'k6/http'; import { sleep } from 'k6';`, "http.get(__ENV.TARGET + '/'); sleep(3600)", 14_000, 42_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			made, asleep := footprint(t, few, tt.imports, tt.body, tt.asleep > 0)
			madeMany, asleepMany := footprint(t, many, tt.imports, tt.body, tt.asleep > 0)
			made, asleep = (madeMany-made)/(many-few), (asleepMany-asleep)/(many-few)
			t.Logf("%.0f bytes a VU when made, %.0f asleep, of which the target in this process takes some 8000", made, asleep)
			if made > tt.made || asleep > tt.asleep {
				t.Errorf("%.0f bytes a VU when made and %.0f asleep, want at most %.0f and %.0f", made, asleep, tt.made, tt.asleep)
			}
		})
	}
}

// footprint is what VUs take once they are made and, if they are to run, once each has made a request.
func footprint(t *testing.T, vus int, imports, body string, run bool) (made, asleep float64) {
	t.Helper()
	s := sleepers(t, vus, imports, body, fixedTarget(t))
	before := held()
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	made = held() - before
	if !run {
		return made, 0
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, time.Now(), whole, nil) }()
	for s.count("http_reqs") < float64(vus) {
		time.Sleep(10 * time.Millisecond)
	}
	asleep = held() - before
	cancel()
	<-ended
	return made, asleep
}
