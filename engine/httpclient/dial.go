package httpclient

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/proxy"
)

// connect makes a new connection along the route, up to the point where a request can be written. It is marked as
// busy, so that the end of ctx interrupts each step.
func (c *Client) connect(ctx context.Context, rt *route, deadline moment, timings *Timings) (*conn, error) {
	tcp, err := c.dial(ctx, rt, deadline, timings)
	if err != nil {
		return nil, err
	}
	cn := &conn{wire: &wire{Conn: tcp, traffic: &c.traffic}, route: rt}
	cn.rw = cn.wire
	cn.wire.until(deadline)
	if remote, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
		addr := remote.AddrPort()
		cn.ip, cn.port = addr.Addr().Unmap().String(), int(addr.Port())
	}
	c.mu.Lock()
	c.enter(ctx, cn)
	closed := c.closed
	c.mu.Unlock()
	if closed {
		err = errClientClosed
	} else if err = ctx.Err(); err == nil {
		err = c.prepareApart(cn, timings)
	}
	if err != nil {
		c.release(cn, nil, false)
		return nil, err
	}
	return cn, nil
}

// dial opens the TCP connection to the server or proxy.
func (c *Client) dial(ctx context.Context, rt *route, deadline moment, timings *Timings) (net.Conn, error) {
	limit := deadline
	if d := c.t.cfg.DialTimeout; d > 0 {
		limit = earliest(deadline, now()+moment(d))
	}
	addr, err := c.t.address(ctx, rt, limit)
	if err != nil {
		return nil, err
	}
	d := c.dialer(limit)
	began := now()
	tcp, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		if rt.proxy != nil {
			err = &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
		}
		return nil, err
	}
	timings.Connecting = now().sub(began)
	return tcp, nil
}

// dialer makes one connection. It is not put on the stack, of which the standard library's part of dialling takes much.
//
//go:noinline
func (c *Client) dialer(limit moment) *net.Dialer {
	d := &net.Dialer{Deadline: limit.time()}
	if pool := c.t.cfg.LocalIPs; pool != nil {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(pool.At(c.vu), 0))
		d.Control = latePort
	}
	return d
}

// address finds what to connect to: through the host mapping or by looking the name up, minding what is forbidden.
func (t *Transport) address(ctx context.Context, rt *route, limit moment) (netip.AddrPort, error) {
	name, port := rt.first()
	name = strings.ToLower(name)
	addr, err := netip.ParseAddr(name)
	literal := err == nil
	if !literal {
		if err := t.hosts.checkName(name); err != nil {
			return netip.AddrPort{}, err
		}
	}
	number, err := parsePort(port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if m := t.hosts.find(name, port); m != nil {
		addr = m.addr
		if m.to != 0 {
			number = m.to
		}
	} else if !literal {
		if addr, err = t.lookup(ctx, name, limit); err != nil {
			return netip.AddrPort{}, err
		}
	}
	addr = addr.Unmap()
	return netip.AddrPortFrom(addr, number), t.hosts.checkAddr(addr)
}

func (t *Transport) lookup(ctx context.Context, name string, limit moment) (netip.Addr, error) {
	if limit != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, limit.time())
		defer cancel()
	}
	return t.resolver.resolve(ctx, name)
}

// prepareApart is prepare on a goroutine of its own, where there is something to do: handshakes need a stack several
// times as large as anything else here, and that of a virtual user would stay as large while the user sleeps.
func (c *Client) prepareApart(cn *conn, timings *Timings) (err error) {
	if cn.route.proxy == nil && !cn.route.secure {
		return nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = c.prepare(cn, timings)
	}()
	<-done
	return err
}

// prepare leads a new connection through proxy and handshake to the server.
func (c *Client) prepare(cn *conn, timings *Timings) error {
	rt := cn.route
	if rt.proxy != nil {
		if err := c.throughProxy(cn); err != nil {
			return err
		}
	}
	if !rt.secure {
		return nil
	}
	began := now()
	state, err := c.handshake(cn, rt.name)
	if err != nil {
		return err
	}
	timings.TLSHandshaking = now().sub(began)
	cn.version, cn.cipher = tlsVersion(state.Version), tls.CipherSuiteName(state.CipherSuite)
	cn.ocsp = stapled(&state)
	if state.NegotiatedProtocol == "h2" {
		return c.share(cn)
	}
	return nil
}

// handshake puts TLS over the connection. Deadline and abortion of the wire bound it, so that it needs no context.
func (c *Client) handshake(cn *conn, name string) (tls.ConnectionState, error) {
	name, _, _ = strings.Cut(name, "%")
	tc := tls.Client(cn.rw, c.t.secure.config(name))
	if err := tc.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	cn.rw = tc
	return tc.ConnectionState(), nil
}

// throughProxy makes the proxy pass the connection on to the server.
func (c *Client) throughProxy(cn *conn) error {
	rt := cn.route
	switch rt.proxy.Scheme {
	case "socks5", "socks5h":
		return cn.throughSOCKS()
	case "https":
		tc := tls.Client(cn.rw, c.t.secure.proxyConfig(rt.proxy.Hostname()))
		if err := tc.Handshake(); err != nil {
			return fmt.Errorf("proxyconnect tcp: %w", err)
		}
		cn.rw = tc
	case "http":
	default:
		return generic("proxyconnect tcp: unknown proxy scheme %q, want http, https, socks5 or socks5h", rt.proxy.Scheme)
	}
	if rt.absolute {
		return nil
	}
	return cn.tunnel(c.t.cfg.MaxHeaderBytes)
}

// tunnel asks an HTTP proxy for a connection to the server (RFC 9110 section 9.3.6).
func (cn *conn) tunnel(limit int) error {
	b := buffers.Get().(*buffer)
	defer b.release()
	if _, err := cn.rw.Write(cn.route.connectHead()); err != nil {
		return err
	}
	var resp Response
	if _, err := cn.final(b, limit, &resp); err != nil {
		return err
	}
	cn.last = ""
	if resp.Status/100 != 2 {
		_, reason, _ := strings.Cut(resp.StatusText, " ")
		if reason == "" {
			reason = "proxy answered CONNECT with status " + resp.StatusText
		}
		return generic("%s", reason)
	}
	if b.r != b.w {
		return generic("proxy sent %d bytes before the tunnel was used", b.w-b.r)
	}
	return nil
}

// throughSOCKS asks a SOCKS 5 proxy for a connection to the server, whose name the proxy looks up.
func (cn *conn) throughSOCKS() error {
	var auth *proxy.Auth
	if user := cn.route.proxy.User; user != nil {
		password, _ := user.Password()
		auth = &proxy.Auth{User: user.Username(), Password: password}
	}
	d, err := proxy.SOCKS5("tcp", cn.route.proxy.Host, auth, dialled{cn.wire})
	if err != nil {
		return err
	}
	_, err = d.Dial("tcp", cn.route.server())
	return err
}

// dialled stands for a dialer and a connection, where the connection is already there and keeps its own time.
type dialled struct{ *wire }

func (d dialled) Dial(string, string) (net.Conn, error) { return d, nil }

func (d dialled) DialContext(context.Context, string, string) (net.Conn, error) { return d, nil }

func (d dialled) SetDeadline(time.Time) error { return nil }
