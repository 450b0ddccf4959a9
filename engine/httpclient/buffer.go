package httpclient

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// Sizes of what is held while a request is in flight: a head with a small body, and a piece of a large body.
const (
	inSize    = 4 << 10
	pieceSize = 32 << 10
)

// buffer is the memory of one exchange in flight, taken from a pool when it begins and given back when it ends, so
// that an idle connection holds none. It serves the request first and the response then.
type buffer struct {
	out  []byte // the request's head, in the memory of in until something was read
	in   []byte // what was read: in[r:w] is not yet consumed
	r, w int
}

var buffers = sync.Pool{New: func() any { return &buffer{in: make([]byte, inSize)} }}

// compose begins the exchange with the head of the request.
func (b *buffer) compose(req *Request, rt *route, closing bool) {
	b.out = appendHead(b.in[:0], req, rt, closing)
	if cap(b.out) > cap(b.in) {
		b.in = b.out[:cap(b.out)]
	}
}

var pieces = sync.Pool{New: func() any { p := make([]byte, pieceSize); return &p }}

// release gives the buffer back, less what an unusual exchange made it grow to.
func (b *buffer) release() {
	b.r, b.w, b.out = 0, 0, nil
	if cap(b.in) > 4*inSize {
		b.in = make([]byte, inSize)
	}
	buffers.Put(b)
}

var errHeaderTooLarge = errors.New("response headers too large")

// fill reads once from src behind what is there, growing in up to limit unconsumed bytes.
func (b *buffer) fill(src io.Reader, limit int) error {
	if b.r == b.w {
		b.r, b.w = 0, 0
	}
	if b.w == len(b.in) {
		if b.r > 0 {
			b.w = copy(b.in, b.in[b.r:b.w])
			b.r = 0
		} else if err := b.grow(limit); err != nil {
			return err
		}
	}
	n, err := src.Read(b.in[b.w:])
	b.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

func (b *buffer) grow(limit int) error {
	if len(b.in) >= limit {
		return errHeaderTooLarge
	}
	in := make([]byte, min(2*len(b.in), limit))
	b.w = copy(in, b.in[:b.w])
	b.in = in
	return nil
}

// line consumes one line and returns it without its end. It is valid until the next call.
func (b *buffer) line(src io.Reader, limit int) ([]byte, error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(b.in[b.r+scanned:b.w], '\n'); i >= 0 {
			line := b.in[b.r : b.r+scanned+i]
			b.r += scanned + i + 1
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		}
		scanned = b.w - b.r
		if scanned >= limit {
			return nil, errHeaderTooLarge
		}
		if err := b.fill(src, limit); err != nil {
			return nil, unexpected(err)
		}
	}
}

// head waits until a whole header block, from the status line to the empty line, is in the buffer and returns its
// length.
func (b *buffer) head(src io.Reader, limit int) (int, error) {
	at := 0 // start of the line that is being looked at, from r
	for {
		block := b.in[b.r:b.w]
		i := bytes.IndexByte(block[at:], '\n')
		switch {
		case i < 0:
			if len(block) >= limit {
				return 0, errHeaderTooLarge
			}
			if err := b.fill(src, limit); err != nil {
				return 0, err
			}
		case at == 0 && !bytes.HasPrefix(block, []byte("HTTP/")):
			return 0, malformedStatus(block[:i])
		case i == 0 || i == 1 && block[at] == '\r':
			if at += i + 1; at > limit {
				return 0, errHeaderTooLarge
			}
			return at, nil
		default:
			at += i + 1
		}
	}
}

// unexpected turns the end of the stream into an error where more must come.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
