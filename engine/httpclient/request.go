package httpclient

import (
	"bytes"
	"io"
	"strings"
	"time"
)

// Request is one exchange's request. It is only read, so that it can be sent again or by several clients.
type Request struct {
	// Method is sent as it is written.
	Method string
	// URL names the target.
	URL *URL
	// Host replaces the URL's host in the Host header when it is not empty.
	Host string
	// Header fields are sent in this order, names as written. Host, Content-Length, Transfer-Encoding and Connection
	// among them are ignored: they follow from Host, Body and Close.
	Header []Field
	// Body is nil for a request without one.
	Body Body
	// Close asks the server to close the connection after the response and does not use it again.
	Close bool
	// Deadline, when not zero, ends the exchange with ErrorTimeout. It costs less than a context of its own.
	Deadline time.Time
	// Gate, when not nil, is asked right before the request is sent, each time it is. When it says no, nothing is sent and
	// the exchange fails with ErrGate.
	Gate func() bool
	// Affinity, when not nil, keeps a series of exchanges on one connection.
	Affinity *Affinity
}

// Field is one line of a header.
type Field struct{ Name, Value string }

// Body is the content of a request. NewReader may be called several times, also at the same time, each call giving
// the whole content.
type Body interface {
	// Len is the number of bytes, or -1 when it is not known: HTTP/1.1 then sends it in chunks.
	Len() int64
	NewReader() io.Reader
}

// Bytes is a Body held in memory; the slice must not change while it is being sent.
type Bytes []byte

// Len returns the number of bytes.
func (b Bytes) Len() int64 { return int64(len(b)) }

// NewReader returns a reader of the bytes; nothing is copied.
func (b Bytes) NewReader() io.Reader { return bytes.NewReader(b) }

// Text is a Body held in a string.
type Text string

// Len returns the number of bytes.
func (t Text) Len() int64 { return int64(len(t)) }

// NewReader returns a reader of the string; nothing is copied.
func (t Text) NewReader() io.Reader { return strings.NewReader(string(t)) }
