package httpclient

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// stuck serves connections on which it says once what comes in, sends the given text and then nothing.
func stuck(t *testing.T, text string) (url string, reached <-chan struct{}) {
	ch := make(chan struct{}, 10)
	return serve(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := r.Peek(1); err != nil {
			return
		}
		fmt.Fprint(c, text)
		ch <- struct{}{}
		_, _ = io.Copy(io.Discard, r)
	}), ch
}

func TestCancel(t *testing.T) {
	for _, tt := range []struct{ name, scheme, text string }{
		{"waiting for the response", "http", ""},
		{"in the header", "http", "HTTP/1.1 200 OK\r\nX: "},
		{"in the content", "http", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"},
		{"in the TLS handshake", "https", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, reached := stuck(t, tt.text)
			c := newTestClient(t, testConfig())
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				<-reached
				cancel()
			}()
			var resp Response
			err := c.Do(ctx, &Request{URL: mustURL(t, tt.scheme+url[len("http"):])}, BodyKeep, &resp)
			if code(err) != ErrorGeneric || message(err) != "context canceled" {
				t.Errorf("error %d %v", code(err), err)
			}
			if len(c.busy)+len(c.idle) != 0 {
				t.Errorf("%d busy and %d idle connections are left", len(c.busy), len(c.idle))
			}
		})
	}
}

func TestCancelOfOneContextLeavesOthers(t *testing.T) {
	url, reached := stuck(t, "")
	c := newTestClient(t, testConfig())
	first, cancelFirst := context.WithCancel(context.Background())
	second, cancelSecond := context.WithCancel(context.Background())
	defer cancelSecond()
	errs := make(chan error)
	for _, ctx := range []context.Context{first, second} {
		go func() {
			var resp Response
			err := c.Do(ctx, &Request{URL: mustURL(t, url)}, BodyKeep, &resp)
			errs <- fmt.Errorf("%v %v: %w", ctx == first, ctx.Err() != nil, err)
		}()
		<-reached
	}
	cancelSecond()
	if err := <-errs; err.Error() != "false true: context canceled" {
		t.Errorf("first to end: %v", err)
	}
	cancelFirst()
	if err := <-errs; err.Error() != "true true: context canceled" {
		t.Errorf("second to end: %v", err)
	}
}

func TestCancelledBefore(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(fmt.Errorf("enough"))
	c := newTestClient(t, testConfig())
	var resp Response
	err := c.Do(ctx, &Request{URL: mustURL(t, "http://127.0.0.1:1/")}, BodyKeep, &resp)
	if message(err) != "context canceled" || err.Error() != "enough" {
		t.Errorf("message %q, error %v", message(err), err)
	}
}

func TestContextDeadline(t *testing.T) {
	url, _ := stuck(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	var resp Response
	err := newTestClient(t, testConfig()).Do(ctx, &Request{URL: mustURL(t, url)}, BodyKeep, &resp)
	if code(err) != ErrorTimeout || message(err) != "request timeout" {
		t.Errorf("error %d %v", code(err), err)
	}
}

func TestTimeoutInTheHandshake(t *testing.T) {
	url, _ := stuck(t, "")
	resp, err := send(t, newTestClient(t, testConfig()),
		&Request{URL: mustURL(t, "https"+url[len("http"):]), Deadline: time.Now().Add(30 * time.Millisecond)})
	if code(err) != ErrorTimeout || resp.Timings.Connecting == 0 || resp.Timings.Blocked != 0 {
		t.Errorf("error %v, timings %+v", err, resp.Timings)
	}
}

func TestClose(t *testing.T) {
	url, reached := stuck(t, "")
	c := newTestClient(t, testConfig())
	errs := make(chan error)
	go func() {
		var resp Response
		errs <- c.Do(context.Background(), &Request{URL: mustURL(t, url)}, BodyKeep, &resp)
	}()
	<-reached
	c.Close()
	if err := <-errs; message(err) != "client is closed" {
		t.Errorf("exchange in flight: %v", err)
	}
	if _, err := get(t, c, url); message(err) != "client is closed" {
		t.Errorf("exchange after: %v", err)
	}
	c.Close()
}

// A server that never reads must not hold a request with a large body for ever.
func TestTimeoutWhileSending(t *testing.T) {
	url := serve(t, func(c net.Conn, r *bufio.Reader) {
		_, _ = r.Peek(1)
		time.Sleep(300 * time.Millisecond)
	})
	_, err := send(t, newTestClient(t, testConfig()), &Request{
		Method: "POST", URL: mustURL(t, url), Body: make(Bytes, 64<<20), Deadline: time.Now().Add(100 * time.Millisecond)})
	if code(err) != ErrorTimeout {
		t.Errorf("error %d %v", code(err), err)
	}
}
