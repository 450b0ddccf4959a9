package httpclient

import (
	"net"
	"sync/atomic"
	"time"
)

// wire is a TCP connection that counts its bytes and keeps time for the exchange that uses it.
//
// A socket's deadline costs a timer. The deadlines of successive exchanges only move on, so that the socket keeps an
// older one, and when that strikes too early it is moved to where it should be: about one timer per request timeout
// in place of one per request.
type wire struct {
	net.Conn
	traffic  *traffic
	deadline moment // of the present exchange
	armed    moment // what the socket has, never later than deadline
	aborted  atomic.Bool
}

// traffic counts the bytes of one client.
type traffic struct{ sent, received atomic.Int64 }

// until sets the deadline of all reads and writes to come, 0 for none.
func (w *wire) until(deadline moment) {
	w.deadline = deadline
	if deadline != 0 && (w.armed == 0 || w.armed > deadline) {
		w.arm()
	}
}

func (w *wire) arm() {
	w.armed = w.deadline
	_ = w.Conn.SetDeadline(w.deadline.time())
}

// abort makes reads and writes fail now and for ever, and abandons the connection. It may be called from any goroutine.
func (w *wire) abort() {
	w.aborted.Store(true)
	w.abandon()
	_ = w.Conn.SetDeadline(time.Unix(1, 0))
}

// abandon makes the end of the connection a reset: what was written and has not arrived is forgotten. Otherwise the kernel
// would go on trying to deliver a request that was given up, and succeed when a network that was down is back.
func (w *wire) abandon() {
	if tcp, ok := w.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// early tells whether err comes of a deadline that is not the present one, which is then set. The second look at
// aborted is for an abort between the first and the new deadline.
func (w *wire) early(err error) bool {
	if !isTimeout(err) || w.aborted.Load() || w.deadline != 0 && now() >= w.deadline {
		return false
	}
	w.arm()
	return !w.aborted.Load()
}

// Read reads from the connection.
func (w *wire) Read(p []byte) (int, error) {
	for {
		n, err := w.Conn.Read(p)
		if n > 0 {
			w.traffic.received.Add(int64(n))
			return n, err
		}
		if err == nil || !w.early(err) {
			return n, err
		}
	}
}

// Write writes all of p to the connection.
func (w *wire) Write(p []byte) (int, error) {
	written := 0
	for {
		n, err := w.Conn.Write(p[written:])
		written += n
		w.traffic.sent.Add(int64(n))
		if err == nil || !w.early(err) {
			return written, err
		}
	}
}
