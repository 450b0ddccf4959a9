package httpclient

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// conn is a connection of a client. One of HTTP/1.1 serves one exchange at a time, one of HTTP/2 many.
type conn struct {
	wire  *wire
	rw    net.Conn // wire, or TLS over it
	route *route
	h2    *h2Conn     // nil for HTTP/1.1
	used  atomic.Bool // has served an exchange
	since moment      // idle since
	last  string      // the last header block, which the next often equals

	done <-chan struct{} // of the context of the exchange in flight; guarded by Client.mu
	stop func() bool     // ends a watch of that context alone; guarded by Client.mu

	ip      string
	port    int
	version string
	cipher  string
	ocsp    *OCSP
}

// describe fills in what the connection knows of the other side.
func (cn *conn) describe(resp *Response) {
	resp.RemoteIP, resp.RemotePort = cn.ip, cn.port
	resp.TLSVersion, resp.CipherSuite, resp.OCSP = cn.version, cn.cipher, cn.ocsp
	resp.Reused = cn.used.Load()
}

// close ends the connection. TLS says goodbye only where nothing can hold that up.
func (cn *conn) close() {
	if cn.h2 != nil {
		_ = cn.h2.Close()
		return
	}
	_ = cn.wire.Close()
}

// reset ends the connection at once, with all that is in flight on it. Nothing that the kernel holds is sent any more.
func (cn *conn) reset() {
	cn.wire.abandon()
	_ = cn.wire.Close()
	if cn.h2 != nil {
		_ = cn.h2.Close()
	}
}

// outcome is how an exchange on a connection ended.
type outcome struct {
	err   error
	reuse bool // another exchange may follow
	again bool // the request can be sent on another connection: the server cannot have acted on it, or may twice
}

// exchange sends the request and reads the response over HTTP/1.1.
func (cn *conn) exchange(req *Request, mode BodyMode, cfg *Config, resp *Response) outcome {
	b := buffers.Get().(*buffer)
	defer b.release()
	cn.describe(resp)
	closing := req.Close || cfg.NoConnectionReuse
	b.compose(req, cn.route, closing)

	began := now()
	n, err := cn.send(b, req.Body)
	sent := now()
	resp.Timings.Sending = sent.sub(began)
	if err != nil && (n == 0 || isTimeout(err) || !severed(err)) {
		return outcome{err: err, again: cn.used.Load() && n == 0 && severed(err)}
	}
	if rerr := b.fill(cn.rw, cfg.MaxHeaderBytes); rerr != nil {
		resp.Timings.Waiting = now().sub(sent)
		again := cn.used.Load() && severed(rerr) && replayable(req)
		return outcome{err: firstOf(err, rerr), again: again}
	}
	first := now()
	resp.Timings.Waiting = first.sub(sent)
	f, rerr := cn.receive(b, req, mode, cfg, resp)
	resp.Timings.Receiving = now().sub(first)
	if rerr != nil {
		return outcome{err: rerr}
	}
	if cn.used.Load() && resp.Status == 408 && f.close && replayable(req) {
		return outcome{again: true} // the farewell of a server that closed the idle connection
	}
	framed := f.chunked || f.length >= 0
	reuse := err == nil && framed && f.reusable() && !closing && !asksClose(req) && b.r == b.w
	return outcome{reuse: reuse}
}

// receive reads the final response, of which the first bytes are in the buffer.
func (cn *conn) receive(b *buffer, req *Request, mode BodyMode, cfg *Config, resp *Response) (framing, error) {
	f, err := cn.final(b, cfg.MaxHeaderBytes, resp)
	if err != nil {
		return f, err
	}
	if req.Method == "HEAD" {
		f.chunked, f.length = false, 0
	}
	c := content{src: cn.rw, buf: b, resp: resp, mode: mode, limit: cfg.MaxHeaderBytes}
	return f, c.read(&f)
}

// final reads header blocks up to that of the final response; those of status 1xx only announce it.
func (cn *conn) final(b *buffer, limit int, resp *Response) (framing, error) {
	for left := limit; ; {
		n, err := b.head(cn.rw, left)
		if err != nil {
			return framing{}, partial(b, err)
		}
		var f framing
		f, cn.last, err = parseHead(b.in[b.r:b.r+n], cn.last, resp)
		b.r += n
		switch {
		case err != nil:
			return f, err
		case resp.Status == 101:
			return f, ErrSwitchingProtocols
		case resp.Status >= 200:
			return f, nil
		}
		resp.Header = resp.Header[:0]
		if left -= n; left <= 0 {
			return f, errHeaderTooLarge
		}
	}
}

// partial explains the end of the stream within a header block: what came before may not have been HTTP at all.
func partial(b *buffer, err error) error {
	got := b.in[b.r:b.w]
	if err == io.EOF && len(got) > 0 && string(got[:min(5, len(got))]) != "HTTP/"[:min(5, len(got))] {
		return malformedStatus(got)
	}
	return unexpected(err)
}

// severed tells whether the error says that the other side ended the connection.
func severed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// replayable tells whether a server may act on the request twice without harm (RFC 9110 section 9.2.2; as in net/http,
// a key by which the server knows duplicates makes any request so).
func replayable(req *Request) bool {
	switch req.Method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	for _, f := range req.Header {
		switch CanonicalName(f.Name) {
		case "Idempotency-Key", "X-Idempotency-Key":
			return true
		}
	}
	return false
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
