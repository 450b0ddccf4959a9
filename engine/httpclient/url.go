package httpclient

import (
	"net"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// URL is a parsed target, immutable and safe for concurrent use. Parsing is the expensive part of a short request, so
// that callers keep the URL of each distinct string.
type URL struct {
	parsed *url.URL
	text   string // as it was written
	full   string // in normal form
	clean  string // likewise, with user and password masked
	host   string // for the Host header
	target string // request target in origin form
	direct route  // without a proxy
	err    error  // why no request can be made of it
}

// mask stands for a user, and for a password, in tags.
const mask = "****"

// ParseURL parses an absolute URL. A URL that cannot be parsed is an *Error with ErrorInvalidURL; one without a host
// or with a scheme other than http and https parses, but every Do fails with ErrorGeneric.
func ParseURL(s string) (*URL, error) {
	p, err := url.Parse(s)
	if err != nil {
		return nil, invalidURL(err)
	}
	return newURL(p, s)
}

func newURL(p *url.URL, text string) (*URL, error) {
	name, err := asciiName(p.Hostname())
	if err != nil {
		return nil, invalidURL(&url.Error{Op: "parse", URL: text, Err: err})
	}
	u := &URL{parsed: p, text: text, full: p.String(), target: p.RequestURI(), err: unusable(p)}
	u.clean = u.full
	if p.User != nil {
		u.clean = masked(p)
	}
	u.host = hostHeader(name, p.Port())
	port := p.Port()
	if port == "" {
		port = defaultPort(p.Scheme)
	}
	u.direct = route{
		key:    p.Scheme + "://" + net.JoinHostPort(name, port),
		name:   name,
		port:   port,
		secure: p.Scheme == "https",
	}
	return u, nil
}

// Resolve parses a reference relative to u, as the Location of a redirect.
func (u *URL) Resolve(ref string) (*URL, error) {
	p, err := u.parsed.Parse(ref)
	if err != nil {
		return nil, invalidURL(err)
	}
	return newURL(p, p.String())
}

// Text returns the URL as it was written.
func (u *URL) Text() string { return u.text }

// String returns the URL in normal form: scheme in lower case, path escaped.
func (u *URL) String() string { return u.full }

// Clean returns the normal form with the user and password masked: what tags and logs may show.
func (u *URL) Clean() string { return u.clean }

// Scheme returns "http", "https" or whatever else was written, in lower case.
func (u *URL) Scheme() string { return u.parsed.Scheme }

// Host returns host and, if one was written, port, in the form of the Host header.
func (u *URL) Host() string { return u.host }

// Hostname returns the host without port or brackets; an international name in its ASCII form.
func (u *URL) Hostname() string { return u.direct.name }

// Port returns the port, the scheme's own if none was written.
func (u *URL) Port() string { return u.direct.port }

// Path returns the decoded path, which may be empty.
func (u *URL) Path() string { return u.parsed.Path }

// RequestURI returns path and query as the request line has them.
func (u *URL) RequestURI() string { return u.target }

// User returns the credentials of the URL; ok is false if it has none.
func (u *URL) User() (name, password string, ok bool) {
	if u.parsed.User == nil {
		return "", "", false
	}
	password, _ = u.parsed.User.Password()
	return u.parsed.User.Username(), password, true
}

// Parsed returns a copy in the form that the standard library's packages take, a cookie jar for example.
func (u *URL) Parsed() *url.URL {
	p := *u.parsed
	return &p
}

func masked(p *url.URL) string {
	clean, user := *p, mask
	if _, set := p.User.Password(); set {
		user += ":" + mask
	}
	clean.User = nil
	return strings.Replace(clean.String(), "//", "//"+user+"@", 1)
}

func unusable(p *url.URL) error {
	if p.Scheme != "http" && p.Scheme != "https" {
		return generic("unsupported protocol scheme %q", p.Scheme)
	}
	if p.Hostname() == "" {
		return generic("http: no Host in request URL")
	}
	return nil
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// asciiName gives international names the form that DNS, Host and TLS use; others stay as they are written.
func asciiName(name string) (string, error) {
	for i := 0; i < len(name); i++ {
		if name[i] >= 0x80 {
			return idna.Lookup.ToASCII(name)
		}
	}
	return name, nil
}

// hostHeader joins name and port, if any; the zone of an IPv6 address is of no concern to the server.
func hostHeader(name, port string) string {
	if strings.Contains(name, ":") {
		name, _, _ = strings.Cut(name, "%")
		name = "[" + name + "]"
	}
	if port == "" {
		return name
	}
	return name + ":" + port
}
