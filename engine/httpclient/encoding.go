package httpclient

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// coding is one content coding of HTTP.
type coding struct {
	reader func(io.Reader) (io.Reader, func(), error) // with a function that ends its use
	writer func(io.Writer) (io.WriteCloser, error)
}

// codings are those that Decode and Encode know.
func codings(name string) (coding, bool) {
	switch strings.ToLower(name) {
	case "gzip", "x-gzip":
		return coding{gzipReader, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }}, true
	case "deflate":
		return coding{deflateReader, func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil }}, true
	case "br":
		return coding{brotliReader, func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriter(w), nil }}, true
	case "zstd":
		return coding{zstdReader, func(w io.Writer) (io.WriteCloser, error) {
			return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		}}, true
	}
	return coding{}, false
}

// Decode undoes the content codings that a Content-Encoding header lists: gzip, deflate, br and zstd. Content with
// any other coding is returned as it is, as are the ones that were applied before it. What cannot be decoded is an
// *Error with ErrorDecompression.
func Decode(encoding string, body []byte) ([]byte, error) {
	if !known(encoding) {
		return body, nil
	}
	r, err := NewDecoder(encoding, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// known tells whether the last of the codings can be undone.
func known(encoding string) bool {
	_, ok := codings(trim(encoding[strings.LastIndexByte(encoding, ',')+1:]))
	return ok
}

// NewDecoder is Decode for a stream. The caller closes it, which does not close src.
func NewDecoder(encoding string, src io.Reader) (io.ReadCloser, error) {
	d := &decoder{Reader: src}
	list := strings.Split(encoding, ",")
	for i := len(list) - 1; i >= 0; i-- {
		c, ok := codings(trim(list[i]))
		if !ok {
			break
		}
		r, end, err := c.reader(d.Reader)
		if err != nil {
			_ = d.Close()
			return nil, undecodable(err)
		}
		d.Reader, d.ends = r, append(d.ends, end)
	}
	return d, nil
}

type decoder struct {
	io.Reader
	ends []func()
}

func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = undecodable(err)
	}
	return n, err
}

func (d *decoder) Close() error {
	for _, end := range d.ends {
		end()
	}
	d.Reader, d.ends = strings.NewReader(""), nil
	return nil
}

func undecodable(err error) *Error {
	err = fmt.Errorf("error decompressing response body (%w)", err)
	return &Error{Code: ErrorDecompression, Message: err.Error(), Err: err}
}

// Encode compresses content with the algorithms that the list names, one after the other.
func Encode(encoding string, body []byte) ([]byte, error) {
	for _, name := range strings.Split(encoding, ",") {
		c, ok := codings(trim(name))
		if !ok {
			return nil, fmt.Errorf("unknown compression algorithm %s, supported algorithms are [gzip deflate zstd br]", trim(name))
		}
		var out bytes.Buffer
		w, err := c.writer(&out)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(body); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		body = out.Bytes()
	}
	return body, nil
}

// Decoders are large; those that can start again are kept for the next response.
var (
	gzipReaders   sync.Pool
	brotliReaders sync.Pool
	zstdReaders   sync.Pool
)

func gzipReader(src io.Reader) (io.Reader, func(), error) {
	z, ok := gzipReaders.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	if err := z.Reset(src); err != nil {
		return nil, nil, err
	}
	return z, func() { gzipReaders.Put(z) }, nil
}

func brotliReader(src io.Reader) (io.Reader, func(), error) {
	b, ok := brotliReaders.Get().(*brotli.Reader)
	if !ok {
		b = new(brotli.Reader)
	}
	if err := b.Reset(src); err != nil {
		return nil, nil, err
	}
	return b, func() { brotliReaders.Put(b) }, nil
}

func zstdReader(src io.Reader) (io.Reader, func(), error) {
	z, ok := zstdReaders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		if z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)); err != nil {
			return nil, nil, err
		}
	}
	if err := z.Reset(src); err != nil {
		return nil, nil, err
	}
	return z, func() {
		if z.Reset(nil) == nil {
			zstdReaders.Put(z)
		}
	}, nil
}

// deflateReader reads what HTTP calls deflate: zlib (RFC 9110 section 8.4.1.2), or, as some servers send it, the bare
// stream inside.
func deflateReader(src io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReader(src)
	head, err := b.Peek(2)
	if err != nil {
		return nil, nil, err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		z, err := zlib.NewReader(b)
		return z, func() {}, err
	}
	return flate.NewReader(b), func() {}, nil
}
