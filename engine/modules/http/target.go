package http

import (
	"net"

	"hive/engine/httpclient"
)

// maxTargets bounds the URLs that a VU remembers; scripts that make up a new URL for each request go through it.
const maxTargets = 64

// target is a parsed URL.
type target struct {
	url  *httpclient.URL
	text string // normal form, credentials included
	name string // the same with credentials masked: what tags show
}

// host is the place as host:port.
func (t *target) host() string { return net.JoinHostPort(t.url.Hostname(), t.url.Port()) }

// parseTarget parses a URL as a script wrote it. Characters that may not stand in a path or fragment are escaped.
func parseTarget(source string) (*target, error) {
	u, err := httpclient.ParseURL(source)
	if err != nil {
		return nil, err
	}
	text := u.String()
	if text != source {
		if u, err = httpclient.ParseURL(text); err != nil {
			return nil, err
		}
	}
	return &target{url: u, text: text, name: u.Clean()}, nil
}

// resolve parses a reference to another place as seen from here.
func (t *target) resolve(ref string) (*target, error) {
	u, err := t.url.Parsed().Parse(ref)
	if err != nil {
		return nil, err
	}
	return parseTarget(u.String())
}

// bare is the same place without credentials.
func (t *target) bare() *target {
	if _, _, ok := t.url.User(); !ok {
		return t
	}
	if b, err := parseTarget(referer(t.url)); err == nil {
		return b
	}
	return t
}

// targets remembers the URLs of one VU by how the script wrote them.
type targets struct {
	source string // of last
	last   *target
	all    map[string]*target
}

func (ts *targets) get(source string) (*target, error) {
	if ts.last != nil && ts.source == source {
		return ts.last, nil
	}
	t, known := ts.all[source]
	if !known {
		var err error
		if t, err = parseTarget(source); err != nil {
			return nil, err
		}
		ts.keep(source, t)
	}
	ts.source, ts.last = source, t
	return t, nil
}

func (ts *targets) keep(source string, t *target) {
	if ts.all == nil {
		ts.all = make(map[string]*target, 1)
	}
	if len(ts.all) >= maxTargets {
		clear(ts.all)
	}
	ts.all[source] = t
}
