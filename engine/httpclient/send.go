package httpclient

import (
	"io"
	"strconv"
	"strings"
)

// validate finds what cannot be written into a request.
func (req *Request) validate() error {
	switch {
	case req.URL == nil:
		return generic("http: nil Request.URL")
	case req.URL.err != nil:
		return req.URL.err
	case req.Method != "" && !isToken(req.Method):
		return generic("invalid method %q", req.Method)
	case !isValue(req.Host):
		return generic("invalid Host header %q", req.Host)
	}
	for i := range req.Header {
		f := &req.Header[i]
		if !isToken(f.Name) {
			return generic("invalid header field name %q", f.Name)
		}
		if !isValue(f.Value) {
			return generic("invalid header field value for %q", f.Name)
		}
	}
	return nil
}

// length is the size of the content: 0 for none, -1 for unknown.
func (req *Request) length() int64 {
	if req.Body == nil {
		return 0
	}
	return req.Body.Len()
}

// appendHead writes the request line and the header.
func appendHead(b []byte, req *Request, rt *route, closing bool) []byte {
	method, host := req.Method, req.Host
	if method == "" {
		method = "GET"
	}
	if host == "" {
		host = req.URL.host
	}
	b = append(append(b, method...), ' ')
	if rt.absolute {
		b = append(append(append(b, req.URL.Scheme()...), "://"...), req.URL.host...)
	}
	b = append(append(b, req.URL.target...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, host...), '\r', '\n')
	b = appendFraming(b, method, req.length())
	if closing && !asksClose(req) {
		b = append(b, "Connection: close\r\n"...)
	}
	if rt.absolute && rt.authorization != "" {
		b = appendField(b, "Proxy-Authorization", rt.authorization)
	}
	for i := range req.Header {
		if f := &req.Header[i]; !ours(f.Name) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	return append(b, '\r', '\n')
}

func appendFraming(b []byte, method string, length int64) []byte {
	switch {
	case length < 0:
		return append(b, "Transfer-Encoding: chunked\r\n"...)
	case length > 0 || method == "POST" || method == "PUT" || method == "PATCH":
		b = append(b, "Content-Length: "...)
		return append(strconv.AppendInt(b, length, 10), '\r', '\n')
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ':', ' ')
	return append(append(b, trim(value)...), '\r', '\n')
}

// ours tells whether the field follows from other parts of a Request.
func ours(name string) bool {
	switch len(name) {
	case len("Host"):
		return strings.EqualFold(name, "Host")
	case len("Content-Length"):
		return strings.EqualFold(name, "Content-Length")
	case len("Transfer-Encoding"):
		return strings.EqualFold(name, "Transfer-Encoding")
	}
	return false
}

// asksClose tells whether the request's own header ends the connection.
func asksClose(req *Request) bool {
	for i := range req.Header {
		f := &req.Header[i]
		if len(f.Name) == len("Connection") && strings.EqualFold(f.Name, "Connection") && hasToken(f.Value, "close") {
			return true
		}
	}
	return false
}

// send writes the head, which is in the buffer, and the content. n is the number of bytes that went out, as far as
// known.
func (cn *conn) send(b *buffer, body Body) (n int64, err error) {
	var length int64
	if body != nil {
		length = body.Len()
	}
	if length == 0 {
		m, err := cn.rw.Write(b.out)
		return int64(m), err
	}
	if bytes, ok := body.(Bytes); ok {
		return cn.sendBytes(b, bytes)
	}
	return cn.sendReader(b, body.NewReader(), length)
}

// sendBytes fills the buffer up behind the head, so that a small request is one write, and writes the rest from
// where it lies.
func (cn *conn) sendBytes(b *buffer, body []byte) (int64, error) {
	first := min(len(body), max(cap(b.out)-len(b.out), 0))
	b.out = append(b.out, body[:first]...)
	n, err := cn.rw.Write(b.out)
	if err != nil || first == len(body) {
		return int64(n), err
	}
	m, err := cn.rw.Write(body[first:])
	return int64(n) + int64(m), err
}

// sendReader writes content in pieces, as chunks when its length is unknown.
func (cn *conn) sendReader(b *buffer, r io.Reader, length int64) (int64, error) {
	p := pieces.Get().(*[]byte)
	defer pieces.Put(p)
	w := outlet{to: cn.rw, piece: (*p)[:0]}
	w.put(b.out)
	if length < 0 {
		w.chunks(r)
	} else {
		w.exactly(r, length)
	}
	w.flush()
	return w.n, w.err
}

// outlet gathers what is to be written into pieces. After an error it does nothing.
type outlet struct {
	to    io.Writer
	piece []byte
	n     int64 // bytes that went out
	err   error
}

func (w *outlet) flush() {
	if w.err != nil || len(w.piece) == 0 {
		return
	}
	n, err := w.to.Write(w.piece)
	w.n, w.err, w.piece = w.n+int64(n), err, w.piece[:0]
}

func (w *outlet) put(p []byte) {
	for len(p) > 0 && w.err == nil {
		n := min(len(p), cap(w.piece)-len(w.piece))
		w.piece, p = append(w.piece, p[:n]...), p[n:]
		if len(w.piece) == cap(w.piece) {
			w.flush()
		}
	}
}

// exactly writes length bytes of content.
func (w *outlet) exactly(r io.Reader, length int64) {
	left := length
	for left > 0 && w.err == nil {
		free := room(w.piece[len(w.piece):cap(w.piece)], left)
		n, err := r.Read(free)
		w.piece, left = w.piece[:len(w.piece)+n], left-int64(n)
		if len(w.piece) == cap(w.piece) {
			w.flush()
		}
		if err != nil && left > 0 && w.err == nil {
			w.err = bodyError(err, length-left, length)
		}
	}
}

func bodyError(err error, got, want int64) error {
	if err == io.EOF {
		return generic("request body ended after %d of %d bytes", got, want)
	}
	return generic("reading the request body: %w", err)
}

// chunkHead is room for the line before a chunk of a piece's size.
const chunkHead = len("8000\r\n")

// chunks writes content of unknown length.
func (w *outlet) chunks(r io.Reader) {
	p := pieces.Get().(*[]byte)
	defer pieces.Put(p)
	var head [chunkHead + 2]byte
	for w.err == nil {
		n, err := r.Read(*p)
		if n > 0 {
			w.put(append(strconv.AppendInt(head[:0], int64(n), 16), '\r', '\n'))
			w.put((*p)[:n])
			w.put([]byte("\r\n"))
		}
		if err == io.EOF {
			w.put([]byte("0\r\n\r\n"))
			return
		}
		if err != nil && w.err == nil {
			w.err = generic("reading the request body: %w", err)
		}
	}
}
