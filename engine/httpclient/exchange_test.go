package httpclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestResponses(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name, answer string
		status       int
		text, body   string
		header       string
	}{
		{"content length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "200 OK", "hello", "Content-Length=5;"},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nhello", 200, "200 OK", "hello", ""},
		{"HTTP/1.0 without reason", "HTTP/1.0 200\r\n\r\nhello", 200, "200", "hello", ""},
		{"empty reason", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200, "200 ", "ok", "Content-Length=2;"},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", 200, "200 OK", "abc0123456789", ""},
		{"chunked with trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", 200, "200 OK", "abc", ""},
		{"chunked beats length", "HTTP/1.1 200 OK\r\nContent-Length: 77\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, "200 OK", "abc", ""},
		{"1xx are skipped", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "200 OK", "ok", "Content-Length=2;"},
		{"204 has no content", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, "204 No Content", "", "Content-Length=5;"},
		{"304 has no content", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, "304 Not Modified", "", ""},
		{"names become canonical", "HTTP/1.1 200 OK\r\nx-FOO-bar:  1 \r\nset-cookie: a=b\r\nSet-Cookie: c=d\r\nContent-length: 0\r\n\r\n", 200, "200 OK", "", "X-Foo-Bar=1;Set-Cookie=a=b;Set-Cookie=c=d;Content-Length=0;"},
		{"odd names stay", "HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 2\r\n\r\nok", 200, "200 OK", "ok", "X =y;Content-Length=2;"},
		{"folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok", 200, "200 OK", "ok", "X=a b;Content-Length=2;"},
		{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "200 OK", "ok", "Content-Length=2;"},
		{"repeated equal length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, "200 OK", "ok", "Content-Length=2;"},
		{"connection close is not shown", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", 200, "200 OK", "hi", ""},
		{"large content", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long, 200, "200 OK", long, "Content-Length=100000;"},
		{"large content in one chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + long + "\r\n0\r\n\r\n", 200, "200 OK", long, ""},
		{"large content until close", "HTTP/1.1 200 OK\r\n\r\n" + long, 200, "200 OK", long, ""},
		{"large header", "HTTP/1.1 200 OK\r\nX: " + long + "\r\nContent-Length: 2\r\n\r\nok", 200, "200 OK", "ok", "X=" + long + ";Content-Length=2;"},
		{"error status", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 503, "503 Service Unavailable", "", "Content-Length=0;"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := once(t, tt.answer)
			c := newTestClient(t, testConfig())
			resp, err := get(t, c, url)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Status != tt.status || resp.StatusText != tt.text {
				t.Errorf("status %d %q, want %d %q", resp.Status, resp.StatusText, tt.status, tt.text)
			}
			if string(resp.Body) != tt.body || resp.BodySize != int64(len(tt.body)) {
				t.Errorf("body of %d bytes, size %d, want %d", len(resp.Body), resp.BodySize, len(tt.body))
			}
			if got := fields(resp.Header); got != tt.header {
				t.Errorf("header %.200q, want %.200q", got, tt.header)
			}
			var discarded Response
			req := &Request{URL: mustURL(t, url), Deadline: time.Now().Add(20 * time.Second)}
			if err := c.Do(context.Background(), req, BodyDiscard, &discarded); err != nil {
				t.Fatal(err)
			}
			if discarded.Body != nil || discarded.BodySize != int64(len(tt.body)) {
				t.Errorf("discarded: body %d bytes, size %d, want none and %d", len(discarded.Body), discarded.BodySize, len(tt.body))
			}
		})
	}
}

func TestMalformedResponses(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		code         int
		message      string
		body         string
	}{
		{"no HTTP", "garbage\r\n\r\n", 1000, `malformed HTTP response "garbage"`, ""},
		{"no HTTP and no line", "\x15\x03\x01\x00\x02\x02\x46", 1000, `malformed HTTP response "\x15\x03\x01\x00\x02\x02F"`, ""},
		{"empty line", "\r\n\r\n", 1000, `malformed HTTP response ""`, ""},
		{"no status", "HTTP/1.1\r\n\r\n", 1000, `malformed HTTP response "HTTP/1.1"`, ""},
		{"short status", "HTTP/1.1 99 OK\r\n\r\n", 1000, `malformed HTTP status code "99"`, ""},
		{"status in words", "HTTP/1.1 abc OK\r\n\r\n", 1000, `malformed HTTP status code "abc"`, ""},
		{"version", "HTTP/one 200 OK\r\n\r\n", 1000, `malformed HTTP version "HTTP/one"`, ""},
		{"nothing", "", 1000, "EOF", ""},
		{"half a head", "HTTP/1.1 200 OK\r\nX: ", 1000, "unexpected EOF", ""},
		{"no colon", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", 1000, `malformed MIME header: missing colon: "no colon"`, ""},
		{"continuation of nothing", "HTTP/1.1 200 OK\r\n x\r\n\r\n", 1000, `malformed MIME header initial line: " x"`, ""},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabcde", 1000, `bad Content-Length "-5"`, ""},
		{"signed length", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nabcde", 1000, `bad Content-Length "+5"`, ""},
		{"empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nabcde", 1000, `bad Content-Length ""`, ""},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 1000, `http: message cannot contain multiple Content-Length headers; got ["5" "6"]`, ""},
		{"transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 1000, `unsupported transfer encoding: "gzip"`, ""},
		{"two transfer codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 1000, "too many transfer encodings", ""},
		{"short content", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 1000, "unexpected EOF", "abc"},
		{"short chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", 1000, "unexpected EOF", "abc"},
		{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 1000, "unexpected EOF", "abc"},
		{"chunk size in words", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 1000, "invalid byte in chunk length", ""},
		{"chunk without size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", 1000, "invalid byte in chunk length", ""},
		{"huge chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 1000, "http chunk length too large", ""},
		{"chunk with too much", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 1000, "malformed chunked encoding", "abc"},
		{"huge length", "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\nabc", 1000, "unexpected EOF", "abc"},
		{"large header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 70_000) + "\r\n\r\n", 1000, "response headers too large", ""},
		{"many interim responses", strings.Repeat("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", 3000), 1000, "response headers too large", ""},
		{"endless trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: y\r\n", 20_000), 1000, "response headers too large", ""},
		{"protocol switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 1000, "unsupported response status: 101 Switching Protocols", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.MaxHeaderBytes = 64 << 10
			resp, err := get(t, newTestClient(t, cfg), once(t, tt.answer))
			if code(err) != tt.code || message(err) != tt.message {
				t.Errorf("error %d %q, want %d %q", code(err), message(err), tt.code, tt.message)
			}
			if string(resp.Body) != tt.body {
				t.Errorf("body %q, want %q", resp.Body, tt.body)
			}
			if resp.RemoteIP != "127.0.0.1" || resp.RemotePort == 0 {
				t.Errorf("remote address %s:%d", resp.RemoteIP, resp.RemotePort)
			}
		})
	}
}

func TestSwitchingProtocolsIsTold(t *testing.T) {
	_, err := get(t, newTestClient(t, testConfig()), once(t, "HTTP/1.1 101 Switching Protocols\r\n\r\n"))
	if !errors.Is(err, ErrSwitchingProtocols) {
		t.Errorf("error %v, want ErrSwitchingProtocols", err)
	}
}

func TestSeveredExchanges(t *testing.T) {
	for _, tt := range []struct {
		name   string
		handle func(c net.Conn, r *bufio.Reader)
		code   int
		text   string
	}{
		{"reset before the response", func(c net.Conn, r *bufio.Reader) {
			_, _ = readHead(r)
			reset(c)
		}, 1220, "read: connection reset by peer"},
		{"reset in the content", func(c net.Conn, r *bufio.Reader) {
			_, _ = readHead(r)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
			reset(c)
		}, 1220, "read: connection reset by peer"},
		{"no answer", func(_ net.Conn, r *bufio.Reader) {
			_, _ = io.Copy(io.Discard, r)
		}, 1050, "request timeout"},
		{"half an answer", func(c net.Conn, r *bufio.Reader) {
			_, _ = readHead(r)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
			_, _ = io.Copy(io.Discard, r)
		}, 1050, "request timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTestClient(t, testConfig())
			req := &Request{URL: mustURL(t, serve(t, tt.handle)), Deadline: time.Now().Add(500 * time.Millisecond)}
			_, err := send(t, c, req)
			if code(err) != tt.code || message(err) != tt.text {
				t.Errorf("error %d %q (%v), want %d %q", code(err), message(err), err, tt.code, tt.text)
			}
		})
	}
}

func TestHEAD(t *testing.T) {
	requests := make(chan string, 2)
	url := serve(t, func(c net.Conn, r *bufio.Reader) {
		for {
			head, err := readHead(r)
			if err != nil {
				return
			}
			requests <- head
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
		}
	})
	c := newTestClient(t, testConfig())
	for i := range 2 {
		resp, err := send(t, c, &Request{Method: "HEAD", URL: mustURL(t, url)})
		if err != nil || resp.BodySize != 0 || resp.Get("Content-Length") != "1000" || resp.Reused != (i == 1) {
			t.Errorf("HEAD %d: %+v, %v", i, resp, err)
		}
		if got := <-requests; !strings.HasPrefix(got, "HEAD / HTTP/1.1\r\n") {
			t.Errorf("request %q", got)
		}
	}
}

func TestRequestOnTheWire(t *testing.T) {
	url := serve(t, func(c net.Conn, r *bufio.Reader) {
		head, err := readHead(r)
		if err == nil {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(head), head)
		}
	})
	host := strings.TrimPrefix(url, "http://")
	for _, tt := range []struct {
		name string
		req  Request
		path string
		want string
	}{
		{"plain", Request{Method: "GET"}, "", "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"no method", Request{}, "/", "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"method as written", Request{Method: "get"}, "/", "get / HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"path and query", Request{}, "/a b?c=d&e#f", "GET /a%20b?c=d&e HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"query alone", Request{}, "?x=1", "GET /?x=1 HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"host", Request{Host: "zz"}, "/", "GET / HTTP/1.1\r\nHost: zz\r\n\r\n"},
		{"fields", Request{Header: []Field{{"X-A", " b "}, {"host", "no"}, {"content-length", "9"}, {"Transfer-Encoding", "x"}}}, "/",
			"GET / HTTP/1.1\r\nHost: HOST\r\nX-A: b\r\n\r\n"},
		{"close", Request{Close: true}, "/", "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"},
		{"close by header", Request{Close: true, Header: []Field{{"connection", "close"}}}, "/", "GET / HTTP/1.1\r\nHost: HOST\r\nconnection: close\r\n\r\n"},
		{"POST without body", Request{Method: "POST"}, "/", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"},
		{"GET with empty body", Request{Body: Text("")}, "/", "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"body", Request{Method: "PUT", Body: Text("abc")}, "/", "PUT / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\n"},
		{"body of unknown length", Request{Method: "PUT", Body: endless{"abc"}}, "/", "PUT / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.URL = mustURL(t, url+tt.path)
			resp, err := send(t, newTestClient(t, testConfig()), &tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(resp.Body), strings.Replace(tt.want, "HOST", host, 1); got != want {
				t.Errorf("got\n%q, want\n%q", got, want)
			}
		})
	}
}

// endless is a Body that does not know its length.
type endless struct{ text string }

func (endless) Len() int64             { return -1 }
func (e endless) NewReader() io.Reader { return strings.NewReader(e.text) }

// lying is a Body that is shorter than it says.
type lying struct{ Text }

func (l lying) Len() int64 { return l.Text.Len() + 5 }

// streamed is a Body of known length that is not one of ours.
type streamed struct{ text string }

func (s streamed) Len() int64           { return int64(len(s.text)) }
func (s streamed) NewReader() io.Reader { return strings.NewReader(s.text) }

func TestRequestBodies(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(body)
	}))
	defer srv.Close()
	small, large := "small", strings.Repeat("0123456789", 50_000)
	for _, text := range []string{small, large, strings.Repeat("y", inSize), strings.Repeat("z", pieceSize)} {
		for _, body := range []Body{Text(text), Bytes(text), streamed{text}, endless{text}} {
			t.Run(fmt.Sprintf("%T of %d", body, len(text)), func(t *testing.T) {
				c := newTestClient(t, testConfig())
				for range 2 {
					resp, err := send(t, c, &Request{Method: "POST", URL: mustURL(t, srv.URL), Body: body})
					if err != nil {
						t.Fatal(err)
					}
					if string(resp.Body) != text {
						t.Errorf("%d bytes came back, want %d", len(resp.Body), len(text))
					}
				}
			})
		}
	}
}

func TestShortRequestBody(t *testing.T) {
	url := once(t, "")
	_, err := send(t, newTestClient(t, testConfig()), &Request{Method: "POST", URL: mustURL(t, url), Body: lying{"abc"}})
	if want := "request body ended after 3 of 8 bytes"; message(err) != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestEarlyAnswerToALargeBody(t *testing.T) {
	url := serve(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			fmt.Fprint(c, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, r)
		}
	})
	resp, err := send(t, newTestClient(t, testConfig()), &Request{Method: "POST", URL: mustURL(t, url), Body: make(Bytes, 10<<20)})
	if err != nil || resp.Status != 413 || string(resp.Body) != "no" {
		t.Errorf("got %d %q %v, want 413", resp.Status, resp.Body, err)
	}
}

func TestInvalidRequests(t *testing.T) {
	url := mustURL(t, "http://127.0.0.1:1/")
	for _, tt := range []struct {
		name string
		req  Request
		want string
	}{
		{"no URL", Request{}, "http: nil Request.URL"},
		{"method", Request{Method: "G E T", URL: url}, `invalid method "G E T"`},
		{"field name", Request{URL: url, Header: []Field{{"Bad Name", "x"}}}, `invalid header field name "Bad Name"`},
		{"empty field name", Request{URL: url, Header: []Field{{"", "x"}}}, `invalid header field name ""`},
		{"field value", Request{URL: url, Header: []Field{{"X", "a\nb: c"}}}, `invalid header field value for "X"`},
		{"host", Request{URL: url, Host: "a\r\nb"}, `invalid Host header "a\r\nb"`},
		{"scheme", Request{URL: mustURL(t, "ftp://x/")}, `unsupported protocol scheme "ftp"`},
		{"no scheme", Request{URL: mustURL(t, "nope")}, `unsupported protocol scheme ""`},
		{"no host", Request{URL: mustURL(t, "http:///x")}, "http: no Host in request URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := send(t, newTestClient(t, testConfig()), &tt.req)
			if code(err) != ErrorGeneric || message(err) != tt.want {
				t.Errorf("error %d %q, want 1000 %q", code(err), message(err), tt.want)
			}
			if resp.RemoteIP != "" {
				t.Errorf("connected to %s", resp.RemoteIP)
			}
		})
	}
}

func TestTimings(t *testing.T) {
	const pause = 60 * time.Millisecond
	url := serve(t, func(c net.Conn, r *bufio.Reader) {
		for {
			if _, err := readHead(r); err != nil {
				return
			}
			time.Sleep(pause)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
			time.Sleep(pause)
			fmt.Fprint(c, "k")
		}
	})
	c := newTestClient(t, testConfig())
	for i := range 2 {
		start := time.Now()
		resp, err := get(t, c, url)
		took := time.Since(start)
		if err != nil {
			t.Fatal(err)
		}
		tm := resp.Timings
		if (tm.Connecting > 0) != (i == 0) || tm.TLSHandshaking != 0 {
			t.Errorf("request %d: connecting %v, TLS %v", i, tm.Connecting, tm.TLSHandshaking)
		}
		if tm.Blocked < tm.Connecting || tm.Sending <= 0 || tm.Waiting < pause/2 || tm.Receiving < pause/2 {
			t.Errorf("request %d: %+v, want waiting and receiving of about %v", i, tm, pause)
		}
		if sum := tm.Blocked + tm.Duration(); sum > took {
			t.Errorf("request %d: phases sum to %v, the call took %v", i, sum, took)
		}
	}
}

func TestBytesOnTheWire(t *testing.T) {
	url := serve(t, func(c net.Conn, r *bufio.Reader) {
		for {
			if _, err := readHead(r); err != nil {
				return
			}
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	c := newTestClient(t, testConfig())
	for range 3 {
		if _, err := get(t, c, url); err != nil {
			t.Fatal(err)
		}
	}
	host := strings.TrimPrefix(url, "http://")
	wantSent := int64(3 * len("GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"))
	wantReceived := int64(3 * len("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	if sent, received := c.Bytes(); sent != wantSent || received != wantReceived {
		t.Errorf("sent %d, received %d, want %d and %d", sent, received, wantSent, wantReceived)
	}
	if sent, received := c.Bytes(); sent != 0 || received != 0 {
		t.Errorf("then %d and %d, want 0", sent, received)
	}
}
