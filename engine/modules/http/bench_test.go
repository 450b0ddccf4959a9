package http

import (
	"net"
	"testing"
)

// answer serves one fixed response to everything, with no more work than that takes.
func answer(b testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { listener.Close() })
	response := []byte("HTTP/1.1 200 OK\r\nServer: t\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n" +
		`{"hello":"world","id":12345,"items":[1,2,3,4,5]}`)
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

// benchmarks are scripts of a request, with how many allocations an iteration may cost. Most of them are those of the
// script's own objects and functions.
var benchmarks = []struct {
	name, body string
	discard    bool
	limit      float64
}{
	{"get and discard", `http.get(B + '/')`, true, 9},
	{"get and body", `http.get(B + '/').body.length`, false, 13},
	{"two checks", `const r = http.get(B + '/'); r.status === 200 && r.body && r.body.length === 48`, false, 13},
	{"json and timings", `const r = http.get(B + '/'); r.json('hello') === 'world'; r.timings.waiting`, false, 30},
	{"post of a text", `http.post(B + '/', 'login=admin')`, true, 11},
	{"form", `http.post(B + '/', {login: 'admin', password: '123'})`, true, 32},
	{"tags", `http.get(B + '/', {tags: {name: 'front'}})`, true, 27},
	{"url template", "http.get(http.url`${B}/?id=${1}`)", true, 27},
	{"batch of two", `http.batch([['GET', B + '/a', null, {tags: {asset: 'yes'}}], ['GET', B + '/b', null, {tags: {asset: 'yes'}}]])`, false, 84},
}

func BenchmarkRequest(b *testing.B) {
	base := answer(b)
	for _, test := range benchmarks {
		b.Run(test.name, func(b *testing.B) {
			s := benchScript(b, base, test.body, test.discard)
			b.ReportAllocs()
			for b.Loop() {
				s.iterate()
			}
		})
	}
}

func benchScript(b testing.TB, base, body string, discard bool) *script {
	with := defaults()
	with.http.DiscardResponseBodies = discard
	with.series = true
	s := newScript(b, base, "", body, with)
	s.iterate()
	return s
}

// TestAllocations holds what a request costs, the iteration around it included.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	base := answer(t)
	for _, test := range benchmarks {
		s := benchScript(t, base, test.body, test.discard)
		got := testing.AllocsPerRun(200, s.iterate)
		if got > test.limit {
			t.Errorf("%s: %v allocations, want at most %v", test.name, got, test.limit)
		}
		t.Logf("%s: %v allocations", test.name, got)
	}
}
