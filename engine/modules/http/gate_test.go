package http

import (
	"errors"
	"testing"

	"hive/engine/js"
)

// What the gate holds back is not sent and not measured, and the iteration is interrupted where it stands; what went
// before it counts.
func TestGate(t *testing.T) {
	const first = `http.get(B + '/json'); `
	for _, tt := range []struct{ name, body string }{
		{"request", first + `try { http.get(B + '/json') } catch (e) { out('caught') } finally { out('finally') } out('went on')`},
		{"redirect", `http.get(B + '/redirect?n=2'); out('went on')`},
		{"batch", first + `http.batch([B + '/json', B + '/json']); out('went on')`},
		{"asynchronous", first + `const r = await http.asyncRequest('GET', B + '/json'); out('went on ' + r.status)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			with := defaults()
			asked := 0
			with.http.Batch = 1
			with.http.Gate = func() bool { asked++; return asked == 1 }
			s := newScript(t, startServer(t).URL, "", tt.body, with)
			if err := s.vu.Iterate(t.Context(), nil); !errors.Is(err, js.ErrInterrupted) {
				t.Errorf("the iteration ended with %v, want an interruption", err)
			}
			if s.result() != "" {
				t.Errorf("the script went on: %q", s.result())
			}
			want := []string{"200"}
			if tt.name == "redirect" {
				want = nil // a call is measured as a whole
			}
			equal(t, s.exchanges("status"), want)
			asked = 0
			if err := s.vu.Iterate(t.Context(), nil); !errors.Is(err, js.ErrInterrupted) || asked == 0 {
				t.Errorf("the next iteration ended with %v after %d questions", err, asked)
			}
		})
	}
}
