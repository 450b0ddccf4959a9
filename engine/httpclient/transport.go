package httpclient

import (
	"fmt"
	"sync"
)

// Transport is what all clients of a run share. It is safe for concurrent use and needs no closing.
type Transport struct {
	cfg        Config
	resolver   *resolver
	hosts      *hosts
	secure     *secure
	h2         *h2Transport
	routes     sync.Map // URL.direct.key → *route, when there are proxies
	routeCount int64    // atomic
}

// NewTransport checks the configuration and prepares what connections share.
func NewTransport(cfg Config) (*Transport, error) {
	if cfg.MaxHeaderBytes <= 0 {
		cfg.MaxHeaderBytes = DefaultMaxHeaderBytes
	}
	t := &Transport{cfg: cfg}
	var err error
	if t.resolver, err = newResolver(cfg.DNS); err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	if t.hosts, err = newHosts(cfg.Hosts, cfg.BlockHostnames, cfg.BlacklistIPs); err != nil {
		return nil, err
	}
	if t.secure, err = newSecure(cfg.TLS, cfg.HTTP2); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	t.h2 = newHTTP2(cfg.MaxHeaderBytes)
	return t, nil
}

// Client returns a new, empty pool of connections for the virtual user with this number, which counts from 1 and
// chooses among Config.LocalIPs.
func (t *Transport) Client(vu int64) *Client { return &Client{t: t, vu: vu} }
