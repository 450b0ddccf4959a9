package httpclient

import (
	"errors"
	"io"
	"slices"
)

// eager is the size up to which room for announced content is made at once; beyond it only as content arrives, so
// that a server cannot claim memory with a number.
const eager = 1 << 20

// chunkLine bounds the line before a chunk.
const chunkLine = 4 << 10

var (
	errChunkLength = errors.New("invalid byte in chunk length")
	errChunkHuge   = errors.New("http chunk length too large")
	errChunkEnd    = errors.New("malformed chunked encoding")
)

// content moves the content of a response from a connection to where the mode wants it.
type content struct {
	src   io.Reader
	buf   *buffer
	resp  *Response
	mode  BodyMode
	limit int // of trailers
}

// read takes the content as the header framed it.
func (c *content) read(f *framing) error {
	switch {
	case f.chunked:
		return c.chunks()
	case f.length >= 0:
		return c.take(f.length)
	}
	return c.rest()
}

// take moves n bytes.
func (c *content) take(n int64) error {
	if c.mode == BodyKeep {
		c.resp.Body = slices.Grow(c.resp.Body, int(min(n, eager)))
	}
	ready := min(n, int64(c.buf.w-c.buf.r))
	c.put(c.buf.in[c.buf.r : c.buf.r+int(ready)])
	c.buf.r += int(ready)
	if ready == n {
		return nil
	}
	return unexpected(c.stream(n - ready))
}

// rest moves all until the connection ends.
func (c *content) rest() error {
	c.put(c.buf.in[c.buf.r:c.buf.w])
	c.buf.r = c.buf.w
	if err := c.stream(-1); err != io.EOF {
		return err
	}
	return nil
}

func (c *content) put(p []byte) {
	if c.mode == BodyKeep {
		c.resp.Body = append(c.resp.Body, p...)
	}
	c.resp.BodySize += int64(len(p))
}

// stream reads n bytes, or all for -1, from the connection and past the buffer.
func (c *content) stream(n int64) error {
	if c.mode == BodyKeep {
		return c.keep(n)
	}
	piece := c.buf.in
	if n < 0 || n > int64(len(piece)) {
		p := pieces.Get().(*[]byte)
		defer pieces.Put(p)
		piece = *p
	}
	c.buf.r, c.buf.w = 0, 0
	for n != 0 {
		m, err := c.src.Read(room(piece, n))
		c.resp.BodySize += int64(m)
		if n > 0 {
			n -= int64(m)
		}
		if err != nil && n != 0 {
			return err
		}
	}
	return nil
}

// keep reads into the spare room of the body.
func (c *content) keep(n int64) error {
	for n != 0 {
		body := c.resp.Body
		if len(body) == cap(body) {
			body = slices.Grow(body, inSize)
		}
		m, err := c.src.Read(room(body[len(body):cap(body)], n))
		c.resp.Body = body[:len(body)+m]
		c.resp.BodySize += int64(m)
		if n > 0 {
			n -= int64(m)
		}
		if err != nil && n != 0 {
			return err
		}
	}
	return nil
}

// room cuts p so that not more than the n bytes that belong to the content are read.
func room(p []byte, n int64) []byte {
	if n >= 0 && n < int64(len(p)) {
		return p[:n]
	}
	return p
}

// chunks moves content that comes in chunks, and skips the trailers (RFC 9112 section 7.1).
func (c *content) chunks() error {
	for {
		line, err := c.buf.line(c.src, chunkLine)
		if err != nil {
			return err
		}
		n, err := chunkSize(line)
		if err != nil {
			return err
		}
		if n == 0 {
			return c.trailers()
		}
		if err := c.take(n); err != nil {
			return err
		}
		if line, err = c.buf.line(c.src, chunkLine); err != nil {
			return err
		}
		if len(line) > 0 {
			return errChunkEnd
		}
	}
}

// chunkSize reads the hexadecimal number at the start of a chunk's line; extensions after it are ignored.
func chunkSize(line []byte) (int64, error) {
	n, digits := int64(0), 0
	for _, b := range line {
		v, ok := hexDigit(b)
		if !ok {
			if b != ';' && b != ' ' && b != '\t' {
				return 0, errChunkLength
			}
			break
		}
		if digits++; digits > 15 {
			return 0, errChunkHuge
		}
		n = n<<4 | v
	}
	if digits == 0 {
		return 0, errChunkLength
	}
	return n, nil
}

func hexDigit(b byte) (int64, bool) {
	switch {
	case digit(b):
		return int64(b - '0'), true
	case 'a' <= b && b <= 'f':
		return int64(b-'a') + 10, true
	case 'A' <= b && b <= 'F':
		return int64(b-'A') + 10, true
	}
	return 0, false
}

// trailers skips the fields after the last chunk.
func (c *content) trailers() error {
	for left := c.limit; left > 0; {
		line, err := c.buf.line(c.src, left)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		left -= len(line) + 2
	}
	return errHeaderTooLarge
}
