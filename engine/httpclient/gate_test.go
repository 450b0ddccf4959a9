package httpclient

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A request that its gate holds back does not reach the server, and the client works on when the gate opens.
func TestGate(t *testing.T) {
	for _, secure := range []bool{false, true} {
		name := map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[secure]
		t.Run(name, func(t *testing.T) {
			var reached atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached.Add(1)
				io.WriteString(w, r.Proto)
			}))
			server.EnableHTTP2 = secure
			if secure {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			cfg := testConfig()
			cfg.TLS.InsecureSkipVerify = true
			c := newTestClient(t, cfg)
			open := true
			for i, step := range []bool{false, true, true, false, false, true} {
				open = step
				resp, err := send(t, c, &Request{URL: mustURL(t, server.URL), Gate: func() bool { return open }})
				switch {
				case !step && !errors.Is(err, ErrGate):
					t.Fatalf("step %d: got %v, want ErrGate", i, err)
				case step && (err != nil || resp.Status != 200):
					t.Fatalf("step %d: got %v, %v", i, resp.Status, err)
				}
			}
			if got := reached.Load(); got != 3 {
				t.Errorf("%d requests reached the server, want the 3 that were let through", got)
			}
			if len(c.busy) != 0 {
				t.Errorf("%d connections are busy", len(c.busy))
			}
		})
	}
}
