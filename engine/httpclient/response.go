package httpclient

import (
	"strings"
	"time"
)

// Response is what came back. Do overwrites it whole; a caller that hands Body or Header on must set the field to nil
// before the next Do, which otherwise writes over their storage.
type Response struct {
	// Status is the code of the final response, 200 for example; 0 when none came.
	Status int
	// StatusText is code and reason, "200 OK".
	StatusText string
	// Proto is "HTTP/1.0", "HTTP/1.1" or "HTTP/2.0".
	Proto string
	// Header has canonical names ("Content-Type") in the order of arrival, a repeated name once per line.
	Header []Field
	// Body is the content as transferred (see Decode); nil with BodyDiscard.
	Body []byte
	// BodySize is the number of bytes of content, also of one that was discarded.
	BodySize int64
	// RemoteIP and RemotePort are the address connected to, a proxy's if there is one.
	RemoteIP   string
	RemotePort int
	// TLSVersion is "tls1.3" and the like, empty without TLS.
	TLSVersion string
	// CipherSuite has the name that crypto/tls gives it, empty without TLS.
	CipherSuite string
	// OCSP is what the server stapled to its certificate, nil if nothing.
	OCSP *OCSP
	// Reused tells that the connection had served an exchange before.
	Reused bool
	// Timings tells how long each phase took, as far as the exchange got.
	Timings Timings
}

// Get returns the first value of the header field with this canonical name, or "".
func (r *Response) Get(name string) string {
	for i := range r.Header {
		if r.Header[i].Name == name {
			return r.Header[i].Value
		}
	}
	return ""
}

// Values returns all values of the header field with this canonical name joined by ", ".
func (r *Response) Values(name string) string {
	var all []string
	for _, f := range r.Header {
		if f.Name == name {
			all = append(all, f.Value)
		}
	}
	return strings.Join(all, ", ")
}

func (r *Response) reset() {
	*r = Response{Header: r.Header[:0], Body: r.Body[:0]}
}

// Timings are the phases of one exchange.
type Timings struct {
	// Blocked lasts until the request can be written: waiting for a connection, and if there was none to reuse,
	// name lookup, Connecting and TLSHandshaking.
	Blocked time.Duration
	// Connecting is the TCP connect, TLSHandshaking the handshake; both 0 on a reused connection.
	Connecting, TLSHandshaking time.Duration
	// Sending is writing the request, Waiting the time to the first byte of the response, Receiving the rest.
	Sending, Waiting, Receiving time.Duration
}

// Duration is the time spent on the exchange itself, without getting a connection.
func (t Timings) Duration() time.Duration { return t.Sending + t.Waiting + t.Receiving }

// BodyMode says what becomes of the response's content.
type BodyMode uint8

const (
	// BodyKeep reads the content into Response.Body.
	BodyKeep BodyMode = iota
	// BodyDiscard reads and forgets it, piece by piece.
	BodyDiscard
)
