package httpclient

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

// replay is a connection on which a fixed answer comes in.
type replay struct {
	net.Conn
	io.Reader
}

func (r replay) Read(p []byte) (int, error)  { return r.Reader.Read(p) }
func (r replay) Write(p []byte) (int, error) { return len(p), nil }

// FuzzResponse reads what any server may send. Whatever comes, both modes must agree, bounds must hold, and reading in
// pieces must not change the result.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		okAnswer,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.0 404\nx: y\n z\n\nrest",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, answer []byte, head bool) {
		cfg := testConfig()
		cfg.MaxHeaderBytes = 8 << 10
		req := &Request{URL: mustURL(t, "http://a.test/")}
		if head {
			req.Method = "HEAD"
		}
		type result struct {
			resp Response
			out  outcome
		}
		results := map[string]*result{}
		for name, src := range map[string]io.Reader{
			"whole":     bytes.NewReader(answer),
			"by byte":   iotest.OneByteReader(bytes.NewReader(answer)),
			"discarded": bytes.NewReader(answer),
		} {
			r := &result{}
			mode := BodyKeep
			if name == "discarded" {
				mode = BodyDiscard
			}
			cn := &conn{rw: replay{Reader: src}, route: &req.URL.direct}
			r.out = cn.exchange(req, mode, &cfg, &r.resp)
			results[name] = r
		}
		whole := results["whole"]
		for name, r := range results {
			if (r.out.err == nil) != (whole.out.err == nil) || r.resp.Status != whole.resp.Status || r.resp.BodySize != whole.resp.BodySize ||
				fields(r.resp.Header) != fields(whole.resp.Header) {
				t.Errorf("%s: %v %d %d, whole: %v %d %d", name, r.out.err, r.resp.Status, r.resp.BodySize,
					whole.out.err, whole.resp.Status, whole.resp.BodySize)
			}
			if name != "discarded" && int64(len(r.resp.Body)) != r.resp.BodySize || len(r.resp.Body) > len(answer) {
				t.Errorf("%s: body of %d bytes, size %d", name, len(r.resp.Body), r.resp.BodySize)
			}
		}
		if whole.out.err == nil && (whole.resp.Status < 100 || whole.resp.Status > 999 || !strings.HasPrefix(whole.resp.Proto, "HTTP/")) {
			t.Errorf("status %d, protocol %q", whole.resp.Status, whole.resp.Proto)
		}
	})
}
