package httpclient

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// script serves connections one after the other by the answers given for each; "" ends the connection without an
// answer, as does the end of the list. It counts the requests.
func script(t testing.TB, requests *atomic.Int64, conns ...[]string) string {
	var next atomic.Int64
	return serve(t, func(c net.Conn, r *bufio.Reader) {
		n := int(next.Add(1)) - 1
		if n >= len(conns) {
			t.Errorf("connection %d was not expected", n)
			return
		}
		for _, answer := range conns[n] {
			head, err := readHead(r)
			if err != nil {
				return
			}
			var length int64
			if _, err := fmt.Sscanf(fieldOf(head, "Content-Length"), "%d", &length); err == nil {
				_, _ = io.CopyN(io.Discard, r, length)
			}
			requests.Add(1)
			if answer == "" {
				return
			}
			fmt.Fprint(c, answer)
		}
	})
}

func fieldOf(head, name string) string {
	var resp Response
	var f framing
	_ = f.fields(head[len("GET / HTTP/1.1\r\n"):], &resp)
	return resp.Get(name)
}

func TestReuse(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		req          Request
		reused       bool
	}{
		{"1.1", okAnswer, Request{}, true},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Request{}, true},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", Request{}, true},
		{"HEAD", "HTTP/1.1 200 OK\r\n\r\n", Request{Method: "HEAD"}, true},
		{"server closes", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", Request{}, false},
		{"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", Request{}, false},
		{"1.0 that offers", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", Request{}, true},
		{"more than announced", okAnswer + "!", Request{}, false},
		{"client closes", okAnswer, Request{Close: true}, false},
		{"client closes by header", okAnswer, Request{Header: []Field{{"Connection", "close"}}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var requests atomic.Int64
			url := script(t, &requests, []string{tt.answer, tt.answer}, []string{tt.answer})
			c := newTestClient(t, testConfig())
			tt.req.URL = mustURL(t, url)
			for i := range 2 {
				resp, err := send(t, c, &tt.req)
				if err != nil {
					t.Fatal(err)
				}
				if want := tt.reused && i == 1; resp.Reused != want {
					t.Errorf("request %d: reused %v, want %v", i, resp.Reused, want)
				}
			}
		})
	}
}

func TestNoConnectionReuse(t *testing.T) {
	var requests atomic.Int64
	cfg := testConfig()
	cfg.NoConnectionReuse = true
	c := newTestClient(t, cfg)
	url := script(t, &requests, []string{okAnswer, okAnswer}, []string{okAnswer})
	for range 2 {
		if resp, err := get(t, c, url); err != nil || resp.Reused {
			t.Errorf("reused %v, error %v", resp.Reused, err)
		}
	}
}

func TestRetry(t *testing.T) {
	timeout := "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	for _, tt := range []struct {
		name     string
		conns    [][]string
		req      Request // the second one
		code     int
		requests int64
		reused   bool
	}{
		{"server closes as the request comes", [][]string{{okAnswer, ""}, {okAnswer}}, Request{Method: "GET"}, 0, 3, false},
		{"and again", [][]string{{okAnswer, ""}, {""}}, Request{Method: "GET"}, 1000, 3, false},
		{"with a body", [][]string{{okAnswer, ""}, {okAnswer}}, Request{Method: "GET", Body: Text("abc")}, 0, 3, false},
		{"POST may have been acted on", [][]string{{okAnswer, ""}}, Request{Method: "POST", Body: Text("abc")}, 1000, 2, true},
		{"POST that names itself", [][]string{{okAnswer, ""}, {okAnswer}},
			Request{Method: "POST", Body: Text("abc"), Header: []Field{{"idempotency-key", "1"}}}, 0, 3, false},
		{"408 as a farewell", [][]string{{okAnswer, timeout}, {okAnswer}}, Request{Method: "GET"}, 0, 3, false},
		{"an answer, though broken", [][]string{{okAnswer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"}}, Request{Method: "GET"}, 1000, 2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var requests atomic.Int64
			url := script(t, &requests, tt.conns...)
			c := newTestClient(t, testConfig())
			if _, err := get(t, c, url); err != nil {
				t.Fatal(err)
			}
			tt.req.URL = mustURL(t, url)
			resp, err := send(t, c, &tt.req)
			if code(err) != tt.code || resp.Reused != tt.reused {
				t.Errorf("error %v, reused %v, want code %d, reused %v", err, resp.Reused, tt.code, tt.reused)
			}
			if got := requests.Load(); got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
		})
	}
}

// A server that has closed the idle connection before a POST must not cost that POST.
func TestClosedIdleConnectionIsNoticed(t *testing.T) {
	closed := make(chan struct{}, 2)
	url := serve(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			fmt.Fprint(c, okAnswer)
		}
		_ = c.Close()
		closed <- struct{}{}
	})
	c := newTestClient(t, testConfig())
	if _, err := get(t, c, url); err != nil {
		t.Fatal(err)
	}
	<-closed
	for alive(c.idle[0].wire.Conn) { // until the news has crossed the loopback
		time.Sleep(time.Millisecond)
	}
	resp, err := send(t, c, &Request{Method: "POST", URL: mustURL(t, url)})
	if err != nil || resp.Status != 200 || resp.Reused {
		t.Errorf("status %d, reused %v, error %v", resp.Status, resp.Reused, err)
	}
}

func TestIdleLimits(t *testing.T) {
	var conns countingServer
	newServer := func() *httptest.Server {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "ok")
		}))
		srv.Config.ConnState = conns.state
		srv.Start()
		t.Cleanup(srv.Close)
		return srv
	}
	a, b := newServer(), newServer()
	cfg := testConfig()
	cfg.MaxIdle, cfg.MaxIdlePerHost = 3, 2
	c := newTestClient(t, cfg)
	parallel(t, c, a.URL, 4)
	if got := len(c.idle); got != 2 {
		t.Errorf("%d idle connections to one host, want 2", got)
	}
	parallel(t, c, b.URL, 4)
	if got := len(c.idle); got != 3 {
		t.Errorf("%d idle connections in all, want 3", got)
	}
	c.CloseIdle()
	if got := len(c.idle); got != 0 {
		t.Errorf("%d idle connections after CloseIdle, want 0", got)
	}
	before := conns.count()
	if resp, err := get(t, c, a.URL); err != nil || resp.Reused || conns.count() != before+1 {
		t.Errorf("after CloseIdle: reused %v, %d new connections, error %v", resp.Reused, conns.count()-before, err)
	}
}

// parallel makes n requests of which each needs a connection of its own.
func parallel(t *testing.T, c *Client, url string, n int) {
	t.Helper()
	u := mustURL(t, url)
	rt, err := c.t.route(u)
	if err != nil {
		t.Fatal(err)
	}
	held := make([]*conn, n)
	for i := range held {
		var resp Response
		held[i], err = c.acquire(context.Background(), &Request{URL: u}, rt, 0, true, &resp)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, cn := range held {
		var resp Response
		out := c.run(context.Background(), cn, &Request{URL: u}, BodyKeep, 0, &resp)
		if out.err != nil {
			t.Fatal(out.err)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	defer srv.Close()
	c := newTestClient(t, testConfig())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			own, stop := context.WithCancel(context.Background())
			defer stop()
			for j := range 20 {
				path := fmt.Sprintf("/%d/%d", i, j)
				use := ctx
				if (i+j)%3 == 0 {
					use = own
				}
				var resp Response
				if err := c.Do(use, &Request{URL: mustURL(t, srv.URL+path)}, BodyKeep, &resp); err != nil || string(resp.Body) != path {
					t.Errorf("%s: %q, %v", path, resp.Body, err)
				}
			}
		})
	}
	wg.Wait()
	if len(c.busy) != 0 {
		t.Errorf("%d connections are still busy", len(c.busy))
	}
}

// The socket's deadline may be older than the exchange's; neither may end an exchange too early or too late.
func TestDeadlinesOfSuccessiveExchanges(t *testing.T) {
	const short = 50 * time.Millisecond
	release := make(chan struct{})
	url := serve(t, func(c net.Conn, r *bufio.Reader) {
		for i := 0; ; i++ {
			if _, err := readHead(r); err != nil {
				return
			}
			if i == 1 {
				time.Sleep(2 * short) // past the first exchange's deadline
			}
			if i == 2 {
				<-release
			}
			fmt.Fprint(c, okAnswer)
		}
	})
	defer close(release)
	c := newTestClient(t, testConfig())
	for i, limit := range []time.Duration{short, time.Minute, short} {
		resp, err := send(t, c, &Request{URL: mustURL(t, url), Deadline: time.Now().Add(limit)})
		if want := i == 2; (code(err) == ErrorTimeout) != want || !want && err != nil {
			t.Errorf("exchange %d: error %v", i, err)
		}
		if resp.Reused != (i > 0) {
			t.Errorf("exchange %d: reused %v", i, resp.Reused)
		}
	}
}
