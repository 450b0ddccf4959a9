package httpclient

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// hosts holds what the options say about where connections may and shall go.
type hosts struct {
	mapped    []mapping // exact before wildcards, long before short, with a port before without
	blocked   []string  // patterns in lower case
	blacklist []netip.Prefix
}

// mapping sends connections to a host elsewhere.
type mapping struct {
	host string // in lower case; a suffix when wild
	wild bool
	port string // "" for any
	addr netip.Addr
	to   uint16 // port to connect to, 0 for the one asked for
}

func newHosts(mapped map[string]string, blocked []string, blacklist []netip.Prefix) (*hosts, error) {
	h := &hosts{blacklist: blacklist}
	for pattern, value := range mapped {
		m, err := parseMapping(pattern, value)
		if err != nil {
			return nil, fmt.Errorf("hosts: %q: %q: %w", pattern, value, err)
		}
		h.mapped = append(h.mapped, m)
	}
	slices.SortFunc(h.mapped, compareMappings)
	for _, pattern := range blocked {
		if strings.Contains(strings.TrimPrefix(pattern, "*"), "*") || pattern == "" {
			return nil, fmt.Errorf("blockHostnames: %q: want a host name, in which only the first character may be a \"*\"", pattern)
		}
		h.blocked = append(h.blocked, strings.ToLower(pattern))
	}
	return h, nil
}

func parseMapping(pattern, value string) (mapping, error) {
	m := mapping{host: strings.ToLower(pattern)}
	if host, port, err := net.SplitHostPort(m.host); err == nil {
		m.host, m.port = host, port
	}
	m.host = strings.Trim(m.host, "[]")
	if rest, ok := strings.CutPrefix(m.host, "*"); ok {
		m.host, m.wild = rest, true
	}
	if strings.Contains(m.host, "*") || m.host == "" && !m.wild {
		return m, fmt.Errorf("want a pattern of the form \"host\", \"*.suffix\" or either with \":port\"")
	}
	if to, err := netip.ParseAddrPort(value); err == nil {
		m.addr, m.to = to.Addr(), to.Port()
		return m, nil
	}
	addr, err := netip.ParseAddr(strings.Trim(value, "[]"))
	if err != nil {
		return m, fmt.Errorf("want an IP address, or one with \":port\"")
	}
	m.addr = addr
	return m, nil
}

func compareMappings(a, b mapping) int {
	switch {
	case a.wild != b.wild:
		return order(b.wild)
	case len(a.host) != len(b.host):
		return len(b.host) - len(a.host)
	case (a.port == "") != (b.port == ""):
		return order(b.port == "")
	}
	return strings.Compare(a.host+":"+a.port, b.host+":"+b.port)
}

func order(first bool) int {
	if first {
		return -1
	}
	return 1
}

// find returns where connections to host and port are sent, nil if nowhere in particular.
func (h *hosts) find(host, port string) *mapping {
	for i := range h.mapped {
		m := &h.mapped[i]
		fits := host == m.host || m.wild && strings.HasSuffix(host, m.host)
		if fits && (m.port == "" || m.port == port) {
			return m
		}
	}
	return nil
}

// checkName refuses blocked names.
func (h *hosts) checkName(host string) error {
	for _, pattern := range h.blocked {
		suffix, wild := strings.CutPrefix(pattern, "*")
		if host == pattern || wild && strings.HasSuffix(host, suffix) {
			err := fmt.Errorf("hostname (%s) is in a blocked pattern (%s)", host, pattern)
			return &Error{Code: ErrorBlockedHostname, Message: "hostname is blocked", Err: err}
		}
	}
	return nil
}

// checkAddr refuses blacklisted addresses.
func (h *hosts) checkAddr(addr netip.Addr) error {
	for _, p := range h.blacklist {
		if p.Contains(addr.WithZone("")) {
			err := fmt.Errorf("IP (%s) is in a blacklisted range (%s)", addr, p)
			return &Error{Code: ErrorBlacklistedIP, Message: "ip is blacklisted", Err: err}
		}
	}
	return nil
}

func parsePort(port string) (uint16, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0, &net.OpError{Op: "dial", Net: "tcp", Err: &net.AddrError{Err: "invalid port", Addr: port}}
	}
	return uint16(n), nil
}
