package httpclient

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// severable is a server that can be cut off from those that are connected to it: nothing that they send arrives.
type severable struct {
	*httptest.Server
	reached atomic.Int64 // requests

	mu    sync.Mutex
	conns []*net.TCPConn
}

func newSeverable(t *testing.T, secure bool) *severable {
	s := &severable{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.reached.Add(1)
		io.WriteString(w, r.Proto)
	}))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state != http.StateNew {
			return
		}
		if tc, ok := c.(*tls.Conn); ok {
			c = tc.NetConn()
		}
		s.mu.Lock()
		s.conns = append(s.conns, c.(*net.TCPConn))
		s.mu.Unlock()
	}
	s.EnableHTTP2 = secure
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// sever has the kernel drop what arrives on the connections, without a word to the other side; mend ends that.
func (s *severable) sever(t *testing.T) {
	nothing := unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}}
	s.each(t, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &nothing)
	})
}

func (s *severable) mend(t *testing.T) {
	s.each(t, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
}

func (s *severable) each(t *testing.T, do func(fd int) error) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var asked error
		if err := raw.Control(func(fd uintptr) { asked = do(int(fd)) }); err != nil || asked != nil {
			t.Fatal(err, asked)
		}
	}
}

// What was given up while the network was down is not sent when it is back.
func TestNothingArrivesAfterItWasGivenUp(t *testing.T) {
	const patience = 600 * time.Millisecond // the kernel has sent it again by then
	cancelled := func(ctx context.Context, req *Request) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, patience)
	}
	timedOut := func(ctx context.Context, req *Request) (context.Context, context.CancelFunc) {
		req.Deadline = time.Now().Add(patience)
		return ctx, func() {}
	}
	for _, tt := range []struct {
		name   string
		secure bool
		limit  func(context.Context, *Request) (context.Context, context.CancelFunc)
	}{
		{"interrupted on HTTP/1.1", false, cancelled},
		{"interrupted on HTTP/2", true, cancelled},
		{"timed out on HTTP/1.1", false, timedOut},
		{"timed out on HTTP/2", true, timedOut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSeverable(t, tt.secure)
			cfg := testConfig()
			cfg.TLS.InsecureSkipVerify = true
			c := newTestClient(t, cfg)
			if _, err := get(t, c, s.URL); err != nil {
				t.Fatal(err)
			}
			s.sever(t)
			req := &Request{Method: "POST", URL: mustURL(t, s.URL), Body: Bytes("once")}
			ctx, cancel := tt.limit(t.Context(), req)
			defer cancel()
			var resp Response
			if err := c.Do(ctx, req, BodyKeep, &resp); err == nil {
				t.Fatal("there was a response over a network that is down")
			}
			s.mend(t)
			time.Sleep(2 * time.Second)
			if n := s.reached.Load(); n != 1 {
				t.Errorf("%d requests arrived, want only the one before the network was down", n)
			}
			if len(c.busy)+len(c.idle)+len(c.shared) != 0 {
				t.Errorf("%d busy, %d idle and %d shared connections are left", len(c.busy), len(c.idle), len(c.shared))
			}
			if _, err := get(t, c, s.URL); err != nil {
				t.Errorf("the next request: %v", err)
			}
		})
	}
}
