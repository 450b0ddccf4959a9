package httpclient

import (
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
)

// route is the way to a server, perhaps by a proxy. Connections with equal keys are interchangeable.
type route struct {
	key        string
	name, port string // of the server
	secure     bool   // TLS to the server
	proxy      *url.URL
	// absolute requests name scheme and host in the request line: plain HTTP by an HTTP proxy. Other proxied
	// requests go through a tunnel.
	absolute      bool
	authorization string // for the proxy
}

// maxRoutes bounds the memory of routes by proxies; a script that meets more servers has them computed each time.
const maxRoutes = 4096

// route finds the way to the URL's server. The proxy function is asked once for each scheme, host and port.
func (t *Transport) route(u *URL) (*route, error) {
	if t.cfg.Proxy == nil {
		return &u.direct, nil
	}
	if known, ok := t.routes.Load(u.direct.key); ok {
		return known.(*route), nil
	}
	proxy, err := t.cfg.Proxy(u.parsed)
	if err != nil {
		return nil, generic("choosing a proxy for %s: %w", u.clean, err)
	}
	rt := u.direct.by(proxy)
	if atomic.AddInt64(&t.routeCount, 1) <= maxRoutes {
		t.routes.Store(u.direct.key, rt)
	}
	return rt, nil
}

// by returns the same way through a proxy.
func (r route) by(proxy *url.URL) *route {
	if proxy == nil {
		return &r
	}
	r.proxy = proxy
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		r.authorization = BasicAuth(user.Username(), password)
	}
	r.absolute = !r.secure && (proxy.Scheme == "http" || proxy.Scheme == "https")
	if r.absolute {
		r.key = "to any"
	}
	r.key = proxy.String() + " " + r.key
	return &r
}

// first returns what is dialled: the server, or the proxy.
func (r *route) first() (name, port string) {
	if r.proxy == nil {
		return r.name, r.port
	}
	if port = r.proxy.Port(); port != "" {
		return r.proxy.Hostname(), port
	}
	switch r.proxy.Scheme {
	case "https":
		port = "443"
	case "socks5", "socks5h":
		port = "1080"
	default:
		port = "80"
	}
	return r.proxy.Hostname(), port
}

// server returns host and port of the server.
func (r *route) server() string { return net.JoinHostPort(r.name, r.port) }

// connectHead is the request that opens a tunnel to the server.
func (r *route) connectHead() []byte {
	server := r.server()
	head := http.MethodConnect + " " + server + " HTTP/1.1\r\nHost: " + server + "\r\n"
	if r.authorization != "" {
		head += "Proxy-Authorization: " + r.authorization + "\r\n"
	}
	return []byte(head + "\r\n")
}
