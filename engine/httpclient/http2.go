//lint:file-ignore SA1019 net/http's own ClientConn needs a Transport that dials, and keeps the codes of GOAWAY and of
// connection errors to itself

package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http2"
)

// What HTTP/2 is made of, named where its deprecation is accounted for.
type (
	h2Conn      = http2.ClientConn
	h2Transport = http2.Transport
)

func newHTTP2(maxHeader int) *http2.Transport {
	return &http2.Transport{DisableCompression: true, MaxHeaderListSize: uint32(min(maxHeader, 1<<31))}
}

// share starts HTTP/2 on a new connection, with a place reserved for the exchange that made it.
func (c *Client) share(cn *conn) error {
	cn.wire.until(0) // each exchange has its own deadline from here on,
	cn.wire.arm()    // and the socket none that reader and writer would meet at the same time
	h2, err := c.t.h2.NewClientConn(cn.rw)
	if err != nil {
		return err
	}
	cn.h2 = h2
	h2.ReserveNewRequest()
	c.mu.Lock()
	c.leave(cn)
	closed := c.closed
	if !closed && !c.t.cfg.NoConnectionReuse {
		c.shared = append(c.shared, cn)
	}
	c.mu.Unlock()
	if closed {
		return errClientClosed
	}
	return nil
}

// sharedFor reserves a place on an HTTP/2 connection. Those that are ending are forgotten. c.mu is held.
func (c *Client) sharedFor(rt *route) *conn {
	if !rt.secure || len(c.shared) == 0 {
		return nil
	}
	c.shared = slices.DeleteFunc(c.shared, func(cn *conn) bool { return ending(cn.h2) })
	for _, cn := range c.shared {
		if cn.route.key == rt.key && cn.h2.ReserveNewRequest() {
			return cn
		}
	}
	return nil
}

// ending tells whether the connection takes no new requests, for good.
func ending(h2 *http2.ClientConn) bool {
	s := h2.State()
	return s.Closed || s.Closing
}

// settle ends an exchange on an HTTP/2 connection.
func (c *Client) settle(cn *conn, reuse bool) {
	cn.used.Store(true)
	if reuse {
		return
	}
	c.forget(cn)
	cn.h2.SetDoNotReuse()
	if unused(cn.h2) {
		cn.close()
	}
}

// forget lets no later exchange use an HTTP/2 connection.
func (c *Client) forget(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shared = slices.DeleteFunc(c.shared, func(o *conn) bool { return o == cn })
}

// unused tells whether no exchange is on the connection or about to be.
func unused(h2 *http2.ClientConn) bool {
	s := h2.State()
	return s.StreamsActive+s.StreamsReserved == 0
}

// exchange2 sends the request and reads the response over HTTP/2.
func (cn *conn) exchange2(ctx context.Context, req *Request, mode BodyMode, cfg *Config, deadline moment, resp *Response) outcome {
	cn.describe(resp)
	var marks marks
	ctx = httptrace.WithClientTrace(ctx, marks.trace())
	cancel := context.CancelFunc(func() {})
	if deadline != 0 {
		ctx, cancel = context.WithDeadline(ctx, deadline.time())
	}
	defer cancel()
	began := now()
	answer, err := cn.h2.RoundTrip(req.http2(ctx))
	if err == nil {
		cn.fill2(answer, resp)
		err = read2(answer.Body, mode, resp)
	}
	marks.timings(began, now(), &resp.Timings)
	if err == nil {
		return outcome{reuse: !cfg.NoConnectionReuse && !req.Close && !asksClose(req)}
	}
	return outcome{
		err:   err,
		reuse: !cfg.NoConnectionReuse && !ending(cn.h2),
		again: ctx.Err() == nil && cn.refused(err, answer, req),
	}
}

// refused tells whether the server did not act on the request, or may do so again.
func (cn *conn) refused(err error, answer *http.Response, req *Request) bool {
	if answer != nil || !cn.used.Load() {
		return false
	}
	var stream http2.StreamError
	if errors.As(err, &stream) {
		return stream.Code == http2.ErrCodeRefusedStream
	}
	return ending(cn.h2) && replayable(req)
}

// http2 makes the request that package http2 takes.
func (req *Request) http2(ctx context.Context) *http.Request {
	u := *req.URL.parsed
	u.User, u.Host = nil, req.URL.host
	r := &http.Request{Method: req.Method, URL: &u, Host: req.Host, ContentLength: req.length()}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	r.Header = make(http.Header, len(req.Header)+1)
	r.Header["User-Agent"] = []string{""} // none, unless the caller has one
	agent := false
	for _, f := range req.Header {
		name := CanonicalName(f.Name)
		switch {
		case ours(name) || name == "Connection":
			continue
		case name == "User-Agent" && !agent:
			agent = true
			delete(r.Header, name)
		}
		r.Header[name] = append(r.Header[name], trim(f.Value))
	}
	if r.ContentLength != 0 {
		r.Body = io.NopCloser(req.Body.NewReader())
	}
	return r.WithContext(ctx)
}

// fill2 takes over the head of a response.
func (cn *conn) fill2(answer *http.Response, resp *Response) {
	resp.Status, resp.Proto = answer.StatusCode, "HTTP/2.0"
	resp.StatusText = answer.Status
	if !strings.Contains(answer.Status, " ") {
		resp.StatusText = fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	for name, values := range answer.Header {
		for _, v := range values {
			resp.Header = append(resp.Header, Field{name, v})
		}
	}
	slices.SortStableFunc(resp.Header, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
}

// read2 reads the content of a response.
func read2(body io.ReadCloser, mode BodyMode, resp *Response) error {
	defer body.Close()
	if mode == BodyKeep {
		c := content{src: body, resp: resp, mode: mode}
		if err := c.keep(-1); err != io.EOF {
			return err
		}
		return nil
	}
	p := pieces.Get().(*[]byte)
	defer pieces.Put(p)
	for {
		n, err := body.Read(*p)
		resp.BodySize += int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// marks are the moments of an exchange that package http2 tells of, from goroutines of its own.
type marks struct{ headers, wrote, first atomic.Int64 }

func (m *marks) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		WroteHeaders:         func() { m.headers.Store(int64(now())) },
		WroteRequest:         func(httptrace.WroteRequestInfo) { m.wrote.Store(int64(now())) },
		GotFirstResponseByte: func() { m.first.Store(int64(now())) },
	}
}

// timings divides the time from began to ended. A server may answer before it has the whole request, or before the
// goroutine that wrote the end of it gets to say so: the header then counts as the request.
func (m *marks) timings(began, ended moment, t *Timings) {
	wrote, first := moment(m.wrote.Load()), moment(m.first.Load())
	if first == 0 {
		first = ended
	}
	if wrote == 0 || wrote > first {
		wrote = moment(m.headers.Load())
	}
	if wrote == 0 || wrote > first {
		wrote = first
	}
	t.Sending, t.Waiting, t.Receiving = wrote.sub(began), first.sub(wrote), ended.sub(first)
}

// classifyHTTP2 finds the code of a failure that HTTP/2 has a number for, nil if it is none.
func classifyHTTP2(err error) *Error {
	var away http2.GoAwayError
	var stream http2.StreamError
	var connection http2.ConnectionError
	switch {
	case errors.As(err, &away):
		return codeHTTP2(ErrorGoAway, away.ErrCode, "http2: GoAway with http2 ErrCode ", err)
	case errors.As(err, &stream):
		return codeHTTP2(ErrorStream, stream.Code, "http2: stream error with http2 ErrCode ", err)
	case errors.As(err, &connection):
		return codeHTTP2(ErrorConnection, http2.ErrCode(connection), "http2: connection error with http2 ErrCode ", err)
	}
	return nil
}

// codeHTTP2 adds the code to its base, which stands alone for codes beyond the range of the base.
func codeHTTP2(base int, code http2.ErrCode, message string, err error) *Error {
	n := base
	if code < 19 {
		n = base + 1 + int(code)
	}
	return &Error{Code: n, Message: message + code.String(), Err: err}
}
