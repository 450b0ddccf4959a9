package httpclient

import (
	"crypto/tls"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Config is what all connections of a run have in common. DefaultConfig is a Config that works as it is; variants are
// small differences from it.
type Config struct {
	// DialTimeout bounds a name lookup and the TCP connect that follows it, and the TLS handshake after them.
	// Zero means no bound but the request's own.
	DialTimeout time.Duration

	// Hosts sends connections elsewhere than DNS would: a pattern ("host", "host:port", "*.suffix",
	// "*.suffix:port") to "ip" or "ip:port". It changes what is dialled, never the Host header or TLS server name.
	Hosts map[string]string
	// BlacklistIPs are ranges that may not be connected to, whatever name led there.
	BlacklistIPs []netip.Prefix
	// BlockHostnames are names that may not be connected to; a leading "*" stands for any beginning.
	BlockHostnames []string
	// DNS says how names are looked up and for how long the answers hold.
	DNS DNS
	// LocalIPs are the source addresses that virtual users connect from, nil for the system's choice.
	LocalIPs *LocalIPs

	// TLS holds the settings of encrypted connections.
	TLS TLS
	// HTTP2 offers HTTP/2 to servers in the TLS handshake.
	HTTP2 bool
	// NoConnectionReuse closes every connection after one exchange.
	NoConnectionReuse bool
	// MaxIdle is the number of idle connections that one Client keeps; zero means no bound.
	MaxIdle int
	// MaxIdlePerHost is the number of those that may lead to the same host and port; zero means no bound.
	MaxIdlePerHost int
	// MaxHeaderBytes bounds the status line and headers of a response, and the trailers after it.
	// Zero means DefaultMaxHeaderBytes.
	MaxHeaderBytes int
	// Proxy gives the proxy for a URL, or nil for none. A nil function means that no request is proxied.
	Proxy func(*url.URL) (*url.URL, error)
}

// TLS holds the settings of encrypted connections.
type TLS struct {
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool
	// MinVersion and MaxVersion are versions of crypto/tls; zero leaves the choice to it. See ParseTLSVersion.
	MinVersion, MaxVersion uint16
	// CipherSuites are allowed up to TLS 1.2; nil leaves the choice to crypto/tls. See ParseCipherSuite.
	CipherSuites []uint16
	// Certificates identify the client; the first that fits what the server asks for is sent.
	Certificates []tls.Certificate
	// RootCAs, when not empty, are PEM certificates trusted instead of the system's.
	RootCAs []byte
	// KeyLog, when not nil, receives the secrets of all connections in NSS key log format.
	KeyLog io.Writer
}

// DNS says how names are looked up.
type DNS struct {
	// TTL is how long an answer holds: zero asks anew for each connection, Forever keeps it for the run.
	TTL time.Duration
	// Select picks one of several addresses: SelectRandom (also when empty), SelectFirst or SelectRoundRobin.
	Select string
	// Policy picks the IP version: PreferIPv4 (also when empty), PreferIPv6, OnlyIPv4, OnlyIPv6 or AnyIP.
	Policy string
	// Lookup resolves a name. Nil means the system's resolver.
	Lookup LookupFunc
}

// Forever is the DNS.TTL of answers that hold for the whole run.
const Forever = time.Duration(-1)

// Values of DNS.Select.
const (
	SelectFirst      = "first"
	SelectRandom     = "random"
	SelectRoundRobin = "roundRobin"
)

// Values of DNS.Policy.
const (
	PreferIPv4 = "preferIPv4"
	PreferIPv6 = "preferIPv6"
	OnlyIPv4   = "onlyIPv4"
	OnlyIPv6   = "onlyIPv6"
	AnyIP      = "any"
)

// DefaultMaxHeaderBytes bounds response headers when Config does not, as generously as browsers do.
const DefaultMaxHeaderBytes = 1 << 20

// DefaultConfig returns the settings that k6 has without options: 30 s to dial, DNS answers kept for 5 minutes, 20 idle
// connections of which 6 to one host, the proxies of HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and HTTP/2 unless
// GODEBUG says http2client=0.
func DefaultConfig() Config {
	return Config{
		DialTimeout:    30 * time.Second,
		DNS:            DNS{TTL: 5 * time.Minute, Select: SelectRandom, Policy: PreferIPv4},
		HTTP2:          !strings.Contains(","+os.Getenv("GODEBUG")+",", ",http2client=0,"),
		MaxIdle:        20,
		MaxIdlePerHost: 6,
		Proxy:          proxyFrom(httpproxy.FromEnvironment()),
	}
}

// proxyFrom returns nil when the environment names no proxy, so that requests need not ask.
func proxyFrom(c *httpproxy.Config) func(*url.URL) (*url.URL, error) {
	if c.HTTPProxy == "" && c.HTTPSProxy == "" {
		return nil
	}
	return c.ProxyFunc()
}
