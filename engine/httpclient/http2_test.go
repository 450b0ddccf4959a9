//lint:file-ignore SA1019 the errors under test are those of the client in http2.go

package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func http2Server(t testing.TB, h http.HandlerFunc) (*httptest.Server, *countingServer) {
	var conns countingServer
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = quietLog()
	srv.Config.ConnState = conns.state
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, &conns
}

func TestHTTP2(t *testing.T) {
	srv, conns := http2Server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Add("X-A", "1")
		w.Header().Add("X-A", "2")
		w.WriteHeader(201)
		fmt.Fprintf(w, "%s %s %s %s %v %d %q", r.Proto, r.Method, r.Host, r.URL, r.Header["X-Own"], r.ContentLength, body)
		if _, ok := r.Header["User-Agent"]; ok {
			fmt.Fprint(w, " agent ", r.UserAgent())
		}
	})
	host := strings.TrimPrefix(srv.URL, "https://")
	c := newTestClient(t, trusting(srv))
	for i, tt := range []struct {
		req  Request
		want string
	}{
		{Request{}, "HTTP/2.0 GET " + host + ` /p?q [] 0 ""`},
		{Request{Method: "PUT", Body: Text("abc"), Host: "zz", Header: []Field{{"x-own", "1"}, {"X-Own", "2"}, {"Connection", "x"}, {"Host", "no"}}},
			`HTTP/2.0 PUT zz /p?q [1 2] 3 "abc"`},
		{Request{Method: "POST", Body: endless{"abc"}, Header: []Field{{"User-Agent", "me"}}}, "HTTP/2.0 POST " + host + ` /p?q [] -1 "abc" agent me`},
	} {
		tt.req.URL = mustURL(t, "https://u:p@"+host+"/p?q")
		resp, err := send(t, c, &tt.req)
		if err != nil {
			t.Fatal(err)
		}
		if string(resp.Body) != tt.want || resp.BodySize != int64(len(tt.want)) {
			t.Errorf("got %q, want %q", resp.Body, tt.want)
		}
		if resp.Status != 201 || resp.StatusText != "201 Created" || resp.Proto != "HTTP/2.0" || resp.Values("X-A") != "1, 2" {
			t.Errorf("%d %q %s %v", resp.Status, resp.StatusText, resp.Proto, resp.Header)
		}
		if resp.Reused != (i > 0) || resp.Timings.Sending+resp.Timings.Waiting <= 0 || resp.RemoteIP != "127.0.0.1" || resp.TLSVersion != "tls1.3" {
			t.Errorf("request %d: %+v", i, resp)
		}
	}
	if conns.count() != 1 {
		t.Errorf("%d connections, want 1", conns.count())
	}
	var discarded Response
	if err := c.Do(context.Background(), &Request{URL: mustURL(t, srv.URL)}, BodyDiscard, &discarded); err != nil || discarded.Body != nil || discarded.BodySize == 0 {
		t.Errorf("discarded: %+v, %v", discarded, err)
	}
	c.CloseIdle()
	if resp, err := get(t, c, srv.URL); err != nil || resp.Reused {
		t.Errorf("after CloseIdle: reused %v, %v", resp.Reused, err)
	}
}

func TestHTTP2Switches(t *testing.T) {
	srv, conns := http2Server(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })
	cfg := trusting(srv)
	cfg.NoConnectionReuse = true
	c := newTestClient(t, cfg)
	for range 2 {
		if resp, err := get(t, c, srv.URL); err != nil || resp.Reused || string(resp.Body) != "HTTP/2.0" {
			t.Errorf("%q, reused %v, %v", resp.Body, resp.Reused, err)
		}
	}
	if conns.count() != 2 || len(c.shared) != 0 {
		t.Errorf("%d connections, %d kept", conns.count(), len(c.shared))
	}
	cfg = trusting(srv)
	cfg.HTTP2 = false
	if resp, err := get(t, newTestClient(t, cfg), srv.URL); err != nil || resp.Proto != "HTTP/1.1" {
		t.Errorf("without HTTP/2: %s, %v", resp.Proto, err)
	}
	t.Setenv("GODEBUG", "x=y,http2client=0")
	if DefaultConfig().HTTP2 {
		t.Error("GODEBUG=http2client=0 has no effect")
	}
}

func TestHTTP2Concurrent(t *testing.T) {
	srv, _ := http2Server(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })
	c := newTestClient(t, trusting(srv))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				path := fmt.Sprintf("/%d/%d", i, j)
				if resp, err := get(t, c, srv.URL+path); err != nil || string(resp.Body) != path {
					t.Errorf("%s: %q, %v", path, resp.Body, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestHTTP2Failures(t *testing.T) {
	release := make(chan struct{})
	srv, _ := http2Server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/half":
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
			<-release
		case "/slow":
			<-release
		}
	})
	defer close(release)
	c := newTestClient(t, trusting(srv))
	if _, err := get(t, c, srv.URL); err != nil {
		t.Fatal(err)
	}
	_, err := get(t, c, srv.URL+"/abort")
	if want := "http2: stream error with http2 ErrCode INTERNAL_ERROR"; code(err) != 1633 || message(err) != want {
		t.Errorf("abort: %d %q, want 1633 %q", code(err), message(err), want)
	}
	for _, path := range []string{"/slow", "/half"} {
		resp, err := send(t, c, &Request{URL: mustURL(t, srv.URL+path), Deadline: time.Now().Add(50 * time.Millisecond)})
		if code(err) != ErrorTimeout {
			t.Errorf("%s: %d %v, want a timeout", path, code(err), err)
		}
		if path == "/half" && string(resp.Body) != "half" {
			t.Errorf("body %q, want what came", resp.Body)
		}
	}
	if resp, err := get(t, c, srv.URL); err != nil || !resp.Reused {
		t.Errorf("after failures: reused %v, %v", resp.Reused, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		time.Sleep(20 * time.Millisecond)
		cancel()
	}()
	var resp Response
	if err := c.Do(ctx, &Request{URL: mustURL(t, srv.URL+"/slow")}, BodyKeep, &resp); message(err) != "context canceled" {
		t.Errorf("cancelled: %v", err)
	}
	if resp, err := get(t, c, srv.URL); err != nil || resp.Reused {
		t.Errorf("after an interruption: reused %v, %v; want another connection", resp.Reused, err)
	}
}

// frames serves HTTP/2 connections frame by frame.
func frames(t *testing.T, handle func(conn int, f *http2.Framer, stream uint32)) string {
	cert := tlsServer(t, nil).TLS.Certificates[0]
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serveFrames(c, func(f *http2.Framer, stream uint32) { handle(n, f, stream) }) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return "https://" + l.Addr().String()
}

func serveFrames(c net.Conn, handle func(f *http2.Framer, stream uint32)) {
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		if h, ok := frame.(*http2.HeadersFrame); ok {
			handle(f, h.StreamID)
		}
	}
}

func okFrame(f *http2.Framer, stream uint32) {
	var block strings.Builder
	_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: true})
}

func TestHTTP2Frames(t *testing.T) {
	for _, tt := range []struct {
		name   string
		second func(conn int, f *http2.Framer, stream uint32) // answers all but the first request
		code   int
		text   string
	}{
		{"refused stream is sent again", func(conn int, f *http2.Framer, stream uint32) {
			if conn == 0 {
				_ = f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
				return
			}
			okFrame(f, stream)
		}, 0, ""},
		{"stream error", func(_ int, f *http2.Framer, stream uint32) {
			_ = f.WriteRSTStream(stream, http2.ErrCodeEnhanceYourCalm)
		}, 1642, "http2: stream error with http2 ErrCode ENHANCE_YOUR_CALM"},
		{"connection error", func(_ int, f *http2.Framer, stream uint32) {
			_ = f.WriteRawFrame(http2.FrameData, 0, 0, nil)
		}, 1652, "http2: connection error with http2 ErrCode PROTOCOL_ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			seen := 0
			url := frames(t, func(conn int, f *http2.Framer, stream uint32) {
				mu.Lock()
				seen++
				first := seen == 1
				mu.Unlock()
				if first {
					okFrame(f, stream)
					return
				}
				tt.second(conn, f, stream)
			})
			cfg := testConfig()
			cfg.TLS.InsecureSkipVerify = true
			c := newTestClient(t, cfg)
			if _, err := get(t, c, url); err != nil {
				t.Fatal(err)
			}
			_, err := send(t, c, &Request{Method: "POST", URL: mustURL(t, url), Body: Text("abc")})
			if code(err) != tt.code || message(err) != tt.text {
				t.Errorf("error %d %q (%v), want %d %q", code(err), message(err), err, tt.code, tt.text)
			}
		})
	}
}

func TestHTTP2Codes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
		text string
	}{
		{http2.GoAwayError{ErrCode: http2.ErrCodeNo}, 1611, "http2: GoAway with http2 ErrCode NO_ERROR"},
		{http2.GoAwayError{ErrCode: 1000}, 1610, "http2: GoAway with http2 ErrCode unknown error code 0x3e8"},
		{http2.StreamError{Code: http2.ErrCodeHTTP11Required}, 1644, "http2: stream error with http2 ErrCode HTTP_1_1_REQUIRED"},
		{fmt.Errorf("wrapped: %w", http2.ConnectionError(http2.ErrCodeProtocol)), 1652, "http2: connection error with http2 ErrCode PROTOCOL_ERROR"},
	} {
		got := classify(tt.err)
		if got.Code != tt.code || got.Message != tt.text || !errors.Is(got, tt.err) {
			t.Errorf("%v: %d %q, want %d %q", tt.err, got.Code, got.Message, tt.code, tt.text)
		}
	}
}
