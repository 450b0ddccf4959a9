package httpclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testConfig is the default without what the machine's environment says about proxies.
func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Proxy = nil
	return cfg
}

func newTestClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	transport, err := NewTransport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := transport.Client(1)
	t.Cleanup(c.Close)
	return c
}

func mustURL(t testing.TB, s string) *URL {
	t.Helper()
	u, err := ParseURL(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// get makes a GET that is limited to 20 seconds, far more than it takes.
func get(t testing.TB, c *Client, url string) (*Response, error) {
	t.Helper()
	return send(t, c, &Request{Method: "GET", URL: mustURL(t, url)})
}

func send(t testing.TB, c *Client, req *Request) (*Response, error) {
	t.Helper()
	if req.Deadline.IsZero() {
		req.Deadline = time.Now().Add(20 * time.Second)
	}
	var resp Response
	err := c.Do(context.Background(), req, BodyKeep, &resp)
	return &resp, err
}

// serve accepts connections on a free port and gives each to handle, until the test ends.
func serve(t testing.TB, handle func(c net.Conn, r *bufio.Reader)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() {
				handle(c, bufio.NewReader(c))
				_ = c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

// readHead reads a request up to the empty line.
func readHead(r *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String(), err
		}
	}
}

// once serves one fixed answer per connection, which then ends.
func once(t testing.TB, text string) string {
	return serve(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			fmt.Fprint(c, text)
		}
	})
}

// reset ends a connection as a crash does.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// code returns the code of an *Error, -1 for another error and 0 for none.
func code(err error) int {
	var e *Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Code
	}
	return -1
}

func message(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return ""
}

// names resolves the given names and no others.
func names(known map[string][]string) LookupFunc {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		var addrs []netip.Addr
		for _, a := range known[host] {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		if addrs == nil {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return addrs, nil
	}
}

func fields(h []Field) string {
	var b strings.Builder
	for _, f := range h {
		fmt.Fprintf(&b, "%s=%s;", f.Name, f.Value)
	}
	return b.String()
}

// countingServer is a net/http handler that counts connections.
type countingServer struct {
	mu    sync.Mutex
	conns int
}

func (s *countingServer) state(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		s.mu.Lock()
		s.conns++
		s.mu.Unlock()
	}
}

func (s *countingServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// quietLog is for servers that would report what a test does to them.
func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }
