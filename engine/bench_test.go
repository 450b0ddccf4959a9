package engine_test

import (
	"fmt"
	"net"
	"runtime"
	"strconv"
	"testing"
	"time"

	"hive/archive"
)

// fixedTarget answers every request with the same response, at the least cost: one read, one write.
func fixedTarget(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 4096)
				for {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					if _, err := conn.Write(response); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// repeated is a script that runs a body __ENV.N times in one VU.
func repeated(t testing.TB, imports, body string) *archive.Bundle {
	t.Helper()
	return bundle(t, imports+`
		export const options = { scenarios: { s: { executor: 'shared-iterations', vus: 1, iterations: Number(__ENV.N), maxDuration: '24h' } } };
		export default () => { `+body+` }`)
}

// ready prepares n iterations up to their start.
func ready(t testing.TB, b *archive.Bundle, url string, n int) *subject {
	t.Helper()
	s := prepare(t, b, setting{env: map[string]string{"TARGET": url, "N": strconv.Itoa(n)}})
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// benchmark measures iterations as the executor starts them, with all that is recorded of each.
func benchmark(b *testing.B, imports, body string) {
	s := ready(b, repeated(b, imports, body), fixedTarget(b), b.N)
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.Run(b.Context(), time.Now(), whole, nil); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if got := s.Progress().Iterations; got != int64(b.N) {
		b.Fatalf("%d iterations ran of %d", got, b.N)
	}
}

func BenchmarkEmptyIteration(b *testing.B) { benchmark(b, "", "") }

func BenchmarkHTTPGet(b *testing.B) {
	benchmark(b, `import http from 'k6/http';`, `http.get(__ENV.TARGET + '/')`)
}

func BenchmarkCheck(b *testing.B) {
	benchmark(b, `import { check } from 'k6';`, `check(1, { 'is one': (v) => v === 1 })`)
}

// BenchmarkInit10kVUs reports, besides the time that it takes to make 10,000 VUs, what each of them holds.
func BenchmarkInit10kVUs(b *testing.B) {
	const vus = 10_000
	for _, script := range []struct{ name, imports, body string }{
		{"empty", "", ""},
		{"http", `import http from 'k6/http'; import { sleep } from 'k6';`, `http.get(__ENV.TARGET); sleep(1)`},
	} {
		b.Run(script.name, func(b *testing.B) {
			bundled := bundle(b, fmt.Sprintf(`%s
				export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: %d } } };
				export default () => { %s }`, script.imports, vus, script.body))
			held := 0.0
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				s := prepare(b, bundled, setting{})
				before := memory()
				b.StartTimer()
				if err := s.Init(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				held += memory() - before
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(held/vus/float64(b.N), "bytes/VU")
		})
	}
}

// memory is what live objects and stacks take.
func memory() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// TestIterationAllocations holds what an iteration costs, from the executor to the metrics; how much the engine
// allocates for a whole run is spread over many of them.
func TestIterationAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const iterations = 5000
	for _, tt := range []struct {
		name, imports, body string
		limit               float64
	}{
		{"empty", "", "", 1.1}, // the stack of a call
		{"check", `import { check } from 'k6';`, `check(1, { 'is one': (v) => v === 1 })`, 30},
		{"get", `import http from 'k6/http';`, `http.get(__ENV.TARGET + '/')`, 16},
	} {
		url, b := fixedTarget(t), repeated(t, tt.imports, tt.body)
		engines := []*subject{ready(t, b, url, iterations), ready(t, b, url, iterations)} // one for the warm-up
		got := testing.AllocsPerRun(1, func() {
			s := engines[0]
			engines = engines[1:]
			if err := s.Run(t.Context(), time.Now(), whole, nil); err != nil {
				t.Error(err)
			}
		}) / iterations
		if got > tt.limit {
			t.Errorf("%s: %.2f allocations an iteration, want at most %v", tt.name, got, tt.limit)
		}
		t.Logf("%s: %.2f allocations an iteration", tt.name, got)
	}
}
