package http

import (
	"context"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"hive/engine/httpclient"
)

// transport is what a call needs to be performed; it is free of JS and safe for concurrent use.
type transport struct {
	client *httpclient.Client
	pace   *Pace
	gate   func() bool // nil lets all pass
	debug  *dumper
}

// perform sends the call's request and follows redirects. It touches no JS. The outcome is in c.
func (c *call) perform(ctx context.Context, t transport) {
	if t.pace != nil && t.pace.wait(ctx) != nil {
		c.cut = true
		return
	}
	hop := hops.Get().(*hop)
	hop.begin(c, t, ctx)
	c.way, c.exchanges = hop, hop.first[:0]
	for followed := 0; ; followed++ {
		if !hop.run() {
			return
		}
		location := hop.redirection()
		if location == "" {
			break
		}
		if followed >= c.hops {
			c.overrun = true
			break
		}
		if err := hop.follow(location); err != nil {
			c.fail(err)
			return
		}
	}
	c.decode()
}

// hop is one request on the way to a call's response.
type hop struct {
	call *call
	transport
	ctx      context.Context
	deadline time.Time
	to       *target
	req      httpclient.Request
	header   []httpclient.Field // of the script, as far as it goes with this hop; without cookies of the jar
	foreign  bool               // credentials of the script are not for this host

	first [1]exchange // storage of call.exchanges for the usual case
}

// hops are for the next calls: one is in use from the start of a call until its exchanges are recorded.
var hops = sync.Pool{New: func() any { return new(hop) }}

// begin makes h, which is empty, the first hop of a call. It fills h in place: as a value on the stack it would be held
// for as long as the exchanges take.
func (h *hop) begin(c *call, t transport, ctx context.Context) {
	deadline := time.Now().Add(c.timeout)
	h.call, h.transport, h.ctx, h.deadline, h.to, h.header = c, t, ctx, deadline, c.to, c.header
	h.req.Method, h.req.Host, h.req.Body, h.req.Close, h.req.Deadline = c.method, c.host, c.encoded, c.hangUp, deadline
	h.req.Gate = t.gate
}

// forget gives back what only the exchanges needed, which are lost.
func (c *call) forget() {
	if c.way == nil {
		return
	}
	*c.way = hop{}
	hops.Put(c.way)
	c.way, c.exchanges = nil, nil
}

// run performs the hop with its authentication; ok is false when the call has ended without a response.
func (h *hop) run() (ok bool) {
	c := h.call
	h.req.URL = h.to.url
	h.req.Header = h.header
	if cookies := c.cookieHeader(h.to, field(h.header, "Cookie")); cookies != "" {
		h.req.Header = with(h.header, "Cookie", cookies)
	}
	c.final = h.to
	if len(c.exchanges) == 0 {
		c.sent = h.req.Header
	}
	if ok := h.authenticate(); !ok {
		return false
	}
	if err := c.keepCookies(h.to, &c.resp); err != nil {
		c.fail(err)
		return false
	}
	return true
}

// exchange sends the request once and notes what became of it.
func (h *hop) exchange(expect *expectation) (ok bool) {
	c := h.call
	mode := httpclient.BodyKeep
	if c.response == responseNone && !h.debug.bodies() {
		mode = httpclient.BodyDiscard
	}
	id := h.debug.request(&h.req)
	err := h.client.Do(h.ctx, &h.req, mode, &c.resp)
	if err != nil && (h.ctx.Err() != nil || errors.Is(err, httpclient.ErrGate)) {
		c.cut = true
		return false
	}
	h.debug.response(id, &c.resp, err)
	c.note(h, expect)
	if err != nil {
		c.fail(err)
		return false
	}
	return true
}

// note appends the exchange that has just ended.
func (c *call) note(h *hop, expect *expectation) {
	r := &c.resp
	e := exchange{
		at: time.Now(), method: h.req.Method, to: h.to, status: r.Status, proto: r.Proto, tls: r.TLSVersion,
		ip: r.RemoteIP, timings: r.Timings,
	}
	if r.OCSP != nil {
		e.ocsp = r.OCSP.Status
	}
	if r.Status >= 400 {
		e.code = httpclient.ErrorGeneric + r.Status
	}
	if expect != nil {
		e.expected = known(expect.met(r.Status))
	}
	c.exchanges = append(c.exchanges, e)
}

// fail ends the call without a response: its last exchange is a failure, whatever it looked like before.
func (c *call) fail(err error) {
	var known *httpclient.Error
	if !errors.As(err, &known) {
		known = &httpclient.Error{Code: httpclient.ErrorGeneric, Message: err.Error(), Err: err}
	}
	c.failure = known
	if len(c.exchanges) > 0 {
		c.exchanges[len(c.exchanges)-1].fail(known, c.expect)
	}
	r := &c.resp
	c.resp = httpclient.Response{RemoteIP: r.RemoteIP, RemotePort: r.RemotePort, Timings: r.Timings}
}

func (e *exchange) fail(err *httpclient.Error, expect *expectation) {
	e.err, e.code, e.status, e.proto, e.tls = err.Message, err.Code, 0, "", ""
	if expect != nil {
		e.expected = known(expect.met(0))
	}
}

// redirection returns where the response sends the client, "" if nowhere.
func (h *hop) redirection() string {
	switch h.call.resp.Status {
	case nethttp.StatusMovedPermanently, nethttp.StatusFound, nethttp.StatusSeeOther,
		nethttp.StatusTemporaryRedirect, nethttp.StatusPermanentRedirect:
		return h.call.resp.Get("Location")
	}
	return ""
}

// follow prepares the next hop: 307 and 308 repeat the request, the others turn it into a GET without a body.
func (h *hop) follow(location string) error {
	c := h.call
	next, err := h.to.resolve(location)
	if err != nil {
		return fmt.Errorf("failed to parse Location header %q: %w", location, unwrapURL(err))
	}
	keep := c.resp.Status == nethttp.StatusTemporaryRedirect || c.resp.Status == nethttp.StatusPermanentRedirect
	if !keep {
		if h.req.Method != "GET" && h.req.Method != "HEAD" {
			h.req.Method = "GET"
		}
		h.req.Body = nil
	}
	if absolute(location) {
		h.req.Host = ""
	}
	h.foreign = h.foreign || !related(c.to.url.Hostname(), next.url.Hostname())
	h.header = h.nextHeader(next, keep)
	h.to = next
	return nil
}

// nextHeader is the script's header without what is not for the next hop, and with a Referer.
func (h *hop) nextHeader(next *target, keepBody bool) []httpclient.Field {
	header := make([]httpclient.Field, 0, len(h.header)+1)
	for _, f := range h.header {
		if h.foreign && isCredential(f.Name) || !keepBody && isAboutBody(f.Name) {
			continue
		}
		header = append(header, f)
	}
	if field(h.call.header, "Referer") == "" {
		header = without(header, "Referer")
		if h.to.url.Scheme() != "https" || next.url.Scheme() == "https" {
			header = append(header, httpclient.Field{Name: "Referer", Value: referer(h.to.url)})
		}
	}
	return header
}

// referer is a URL without its credentials.
func referer(u *httpclient.URL) string {
	p := u.Parsed()
	p.User = nil
	return p.String()
}

func isCredential(name string) bool {
	switch name {
	case "Authorization", "Www-Authenticate", "Cookie", "Cookie2", "Proxy-Authorization", "Proxy-Authenticate":
		return true
	}
	return false
}

func isAboutBody(name string) bool {
	switch name {
	case "Content-Encoding", "Content-Language", "Content-Location", "Content-Type":
		return true
	}
	return false
}

// related tells whether host is the first one or below it.
func related(first, host string) bool {
	return host == first || strings.HasSuffix(host, "."+first) && !strings.ContainsAny(host, ":%")
}

func absolute(location string) bool {
	u, err := url.Parse(location)
	return err == nil && u.IsAbs()
}

// unwrapURL takes an error about a URL down to what the URL's parser said.
func unwrapURL(err error) error {
	var parse *url.Error
	if errors.As(err, &parse) {
		return parse
	}
	return err
}

// with returns a copy of a header in which a field has this value.
func with(header []httpclient.Field, name, value string) []httpclient.Field {
	return append(without(header, name), httpclient.Field{Name: name, Value: value})
}

// without returns a copy of a header that lacks a field, with room for one more.
func without(header []httpclient.Field, name string) []httpclient.Field {
	list := make([]httpclient.Field, 0, len(header)+1)
	for _, f := range header {
		if f.Name != name {
			list = append(list, f)
		}
	}
	return list
}

// decode undoes the encoding of the response's body, if it is one that is known.
func (c *call) decode() {
	if len(c.resp.Body) == 0 || c.response == responseNone {
		return
	}
	encoding := c.resp.Get("Content-Encoding")
	if encoding == "" {
		return
	}
	body, err := httpclient.Decode(encoding, c.resp.Body)
	if err != nil {
		c.fail(err)
		return
	}
	c.resp.Body = body
}
