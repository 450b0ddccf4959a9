package httpclient

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// Client is one virtual user's connections. It is safe for concurrent use.
type Client struct {
	t       *Transport
	vu      int64
	traffic traffic

	mu     sync.Mutex      // guards what follows
	idle   []*conn         // HTTP/1.1, longest idle first
	busy   []*conn         // HTTP/1.1 in an exchange, and all that are being set up
	shared []*conn         // HTTP/2
	done   <-chan struct{} // of the context that stop watches
	stop   func() bool
	closed bool
}

var errClientClosed = generic("client is closed")

// quiet is how long a connection may lie idle before it is looked at again: a shorter time than servers close after.
const quiet = moment(time.Second)

// Do sends the request and fills resp. On failure of the transport it returns an *Error, and resp holds what was
// learned until then: timings, address, status, a part of the content. Any HTTP status is a success.
//
// A request that finds its idle connection closed by the server is sent again on a new one, if the server cannot
// have acted on it or may do so twice. Cancelling ctx interrupts the exchange at any point. Callers save work by
// passing the same ctx again and again, and time limits of single exchanges in Request.Deadline.
//
// The connection of an exchange that failed is reset, and so is one of HTTP/2 when ctx has ended or the server does not
// acknowledge what it was sent: nothing of a request arrives after it was given up.
func (c *Client) Do(ctx context.Context, req *Request, mode BodyMode, resp *Response) error {
	resp.reset()
	if err := req.validate(); err != nil {
		return classify(err)
	}
	deadline := momentOf(req.Deadline)
	if t, ok := ctx.Deadline(); ok {
		deadline = earliest(deadline, momentOf(t))
	}
	if err := c.do(ctx, req, mode, deadline, resp); err != nil {
		return c.failure(ctx, deadline, err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, req *Request, mode BodyMode, deadline moment, resp *Response) error {
	rt, err := c.t.route(req.URL)
	if err != nil {
		return err
	}
	began := now()
	for fresh := false; ; fresh = true {
		cn, err := c.acquire(ctx, req, rt, deadline, fresh, resp)
		if err != nil {
			return err
		}
		resp.Timings.Blocked = now().sub(began)
		out := c.run(ctx, cn, req, mode, deadline, resp)
		if !out.again || fresh {
			return out.err
		}
		resp.reset()
	}
}

// run makes the exchange on the connection and says what becomes of that.
func (c *Client) run(ctx context.Context, cn *conn, req *Request, mode BodyMode, deadline moment, resp *Response) outcome {
	if req.Gate != nil && !req.Gate() {
		c.putBack(cn, req.Affinity)
		return outcome{err: ErrGate}
	}
	if cn.h2 != nil {
		out := cn.exchange2(ctx, req, mode, &c.t.cfg, deadline, resp)
		if out.err != nil && (ctx.Err() != nil || stalled(cn.wire.Conn)) {
			c.forget(cn)
			cn.reset()
			return out
		}
		c.settle(cn, out.reuse)
		return out
	}
	out := cn.exchange(req, mode, &c.t.cfg, resp)
	if out.err != nil {
		cn.wire.abandon()
	}
	c.release(cn, req.Affinity, out.reuse)
	return out
}

// putBack gives a connection back on which nothing was sent. One of HTTP/2 keeps the place that was reserved on it, so
// that it takes the others' and is closed: the gate is theirs too.
func (c *Client) putBack(cn *conn, a *Affinity) {
	if cn.h2 == nil {
		c.release(cn, a, true)
		return
	}
	c.forget(cn)
	cn.close()
}

// failure says what made an exchange fail: the caller's will and time limits come before what they led to.
func (c *Client) failure(ctx context.Context, deadline moment, err error) error {
	if ctx.Err() != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return errTimeout
		}
		return &Error{Code: ErrorGeneric, Message: ctx.Err().Error(), Err: context.Cause(ctx)}
	}
	var timed net.Error
	if deadline != 0 && now() >= deadline && errors.As(err, &timed) && timed.Timeout() {
		return errTimeout
	}
	if isTimeout(err) && c.isClosed() {
		return errClientClosed
	}
	return classify(err)
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// acquire finds a connection for the request or makes one. What it returns is marked as busy.
func (c *Client) acquire(ctx context.Context, req *Request, rt *route, deadline moment, fresh bool, resp *Response) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if fresh {
		return c.connect(ctx, rt, deadline, &resp.Timings)
	}
	cn := c.reuse(ctx, req, rt)
	if cn == nil {
		return c.connect(ctx, rt, deadline, &resp.Timings)
	}
	if cn.h2 != nil {
		return cn, nil
	}
	cn.wire.until(deadline)
	if err := ctx.Err(); err != nil {
		c.release(cn, nil, false)
		return nil, err
	}
	return cn, nil
}

// reuse takes an open connection, the one used last first.
func (c *Client) reuse(ctx context.Context, req *Request, rt *route) *conn {
	for {
		c.mu.Lock()
		if cn := c.sharedFor(rt); cn != nil {
			c.mu.Unlock()
			return cn
		}
		cn := c.takeIdle(req.Affinity, rt)
		if cn != nil {
			c.enter(ctx, cn)
		}
		c.mu.Unlock()
		if cn == nil {
			return nil
		}
		if (replayable(req) && now()-cn.since < quiet) || alive(cn.wire.Conn) {
			return cn
		}
		c.release(cn, nil, false)
	}
}

// takeIdle removes a fitting connection from those that are idle. c.mu is held.
func (c *Client) takeIdle(a *Affinity, rt *route) *conn {
	if cn := a.take(rt); cn != nil {
		return cn
	}
	for i := len(c.idle) - 1; i >= 0; i-- {
		if cn := c.idle[i]; cn.route.key == rt.key {
			c.idle = slices.Delete(c.idle, i, i+1)
			return cn
		}
	}
	return nil
}

// enter marks a connection as busy, so that the end of ctx interrupts it. c.mu is held. The caller asks ctx.Err
// afterwards: an end before this call would be missed.
func (c *Client) enter(ctx context.Context, cn *conn) {
	c.busy = append(c.busy, cn)
	cn.done = ctx.Done()
	if cn.done == nil || cn.done == c.done {
		return
	}
	done := cn.done
	stop := context.AfterFunc(ctx, func() { c.interrupt(done) })
	if slices.ContainsFunc(c.busy, func(o *conn) bool { return o.done == c.done && o.done != nil }) {
		cn.stop = stop // the client's watch is in use for another context
		return
	}
	if c.stop != nil {
		c.stop()
	}
	c.done, c.stop = done, stop
}

// interrupt makes the exchanges under the context with this channel fail.
func (c *Client) interrupt(done <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cn := range c.busy {
		if cn.done == done {
			cn.wire.abort()
		}
	}
}

// leave undoes enter. c.mu is held.
func (c *Client) leave(cn *conn) {
	if i := slices.Index(c.busy, cn); i >= 0 {
		last := len(c.busy) - 1
		c.busy[i], c.busy[last] = c.busy[last], nil
		c.busy = c.busy[:last]
	}
	if cn.stop != nil {
		cn.stop()
	}
	cn.done, cn.stop = nil, nil
}

// release ends a connection's exchange and keeps it if it may be reused and there is room.
func (c *Client) release(cn *conn, a *Affinity, reuse bool) {
	c.mu.Lock()
	c.leave(cn)
	var surplus *conn
	switch {
	case !reuse || c.closed || cn.wire.aborted.Load():
		surplus = cn
	default:
		cn.since = now()
		cn.used.Store(true)
		if a == nil || !a.keep(c, cn) {
			surplus = c.keep(cn)
		}
	}
	c.mu.Unlock()
	if surplus != nil {
		surplus.close()
	}
}

// keep adds an idle connection and returns one that has to go for it, if any. c.mu is held.
func (c *Client) keep(cn *conn) *conn {
	if limit := c.t.cfg.MaxIdlePerHost; limit > 0 {
		same := 0
		for _, o := range c.idle {
			if o.route.key == cn.route.key {
				same++
			}
		}
		if same >= limit {
			return cn
		}
	}
	c.idle = append(c.idle, cn)
	if limit := c.t.cfg.MaxIdle; limit > 0 && len(c.idle) > limit {
		oldest := c.idle[0]
		c.idle = slices.Delete(c.idle, 0, 1)
		return oldest
	}
	return nil
}

// Bytes returns the bytes sent and received on the wire, TLS included, since the last call.
func (c *Client) Bytes() (sent, received int64) {
	return c.traffic.sent.Swap(0), c.traffic.received.Swap(0)
}

// CloseIdle closes the connections that no exchange is using.
func (c *Client) CloseIdle() {
	c.mu.Lock()
	idle := c.idle
	c.idle = nil
	for i := len(c.shared) - 1; i >= 0; i-- {
		if cn := c.shared[i]; unused(cn.h2) {
			idle = append(idle, cn)
			c.shared = slices.Delete(c.shared, i, i+1)
		}
	}
	c.mu.Unlock()
	for _, cn := range idle {
		cn.close()
	}
}

// Close closes all connections. Exchanges in flight fail, and so does every later one.
func (c *Client) Close() {
	c.mu.Lock()
	all, shared := c.idle, c.shared
	c.idle, c.shared, c.closed = nil, nil, true
	if c.stop != nil {
		c.stop()
	}
	c.done, c.stop = nil, nil
	for _, cn := range c.busy {
		cn.wire.abort()
	}
	c.mu.Unlock()
	for _, cn := range all {
		cn.close()
	}
	for _, cn := range shared {
		if unused(cn.h2) {
			cn.close()
		} else {
			cn.reset()
		}
	}
}
