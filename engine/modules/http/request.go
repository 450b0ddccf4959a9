package http

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
	"hive/engine/js"
)

// bodiless is http.get and http.head: (url, params?).
func bodiless(method string) func(*State, goja.FunctionCall) goja.Value {
	name := "http." + strings.ToLower(method)
	shown := name + "()"
	return func(s *State, call goja.FunctionCall) goja.Value {
		s.vu.NotIn(shown, js.StageInit)
		if n := len(call.Arguments); n > 2 {
			s.vu.Log().Warn(fmt.Sprintf("%s takes a URL and params (2 arguments), but got %d", name, n))
		}
		return s.request(method, call.Argument(0), goja.Undefined(), call.Argument(1))
	}
}

// bodied is http.post and those like it: (url, body?, params?).
func bodied(method string) func(*State, goja.FunctionCall) goja.Value {
	name := "http." + strings.ToLower(method) + "()"
	return func(s *State, call goja.FunctionCall) goja.Value {
		s.vu.NotIn(name, js.StageInit)
		return s.request(method, call.Argument(0), call.Argument(1), call.Argument(2))
	}
}

// jsRequest is http.request(method, url, body?, params?).
func (s *State) jsRequest(call goja.FunctionCall) goja.Value {
	s.vu.NotIn("http.request()", js.StageInit)
	return s.request(methodArgument(call.Argument(0)), call.Argument(1), call.Argument(2), call.Argument(3))
}

// methodArgument reads a method, which is sent as it is written; none is GET.
func methodArgument(v goja.Value) string {
	if goja.IsUndefined(v) || goja.IsNull(v) {
		return ""
	}
	return v.String()
}

// request makes a request and waits for its response.
func (s *State) request(method string, url, body, params goja.Value) goja.Value {
	c, err := s.newCall(method, url, body, params)
	if err != nil {
		return s.refused(err, s.vu.Throws())
	}
	ctx := s.vu.Context()
	c.perform(ctx, s.transport())
	if c.cut {
		s.interrupt()
	}
	v, err := s.finish(c)
	if err != nil {
		s.throw(err)
	}
	return v
}

func (s *State) transport() transport {
	t := transport{client: s.connections(), pace: s.run.cfg.Pace, debug: s.debug.forCall()}
	if s.vu.Stage() == js.StageVU {
		t.gate = s.run.cfg.Gate
	}
	return t
}

// refused is the response to arguments of which no request could be made, or the exception.
func (s *State) refused(err error, throw bool) goja.Value {
	if throw {
		s.throw(err)
	}
	s.vu.Log().Warn("Request Failed", "error", err)
	return s.unsent(err)
}

// finish records what was measured and makes the response. The error is what is to be thrown.
func (s *State) finish(c *call) (goja.Value, error) {
	if c.cut {
		return s.newResponse(c), nil
	}
	s.samples.record(c)
	c.forget()
	s.fields = len(c.resp.Header)
	if c.overrun && !c.hopsSet && c.hops == DefaultMaxRedirects {
		s.vu.Log().Warn(fmt.Sprintf("stopped after %d redirects and returned the last of them; the option maxRedirects, or redirects in the params, says how many are right", c.hops),
			"url", c.final.name)
	}
	if c.failure == nil {
		return s.newResponse(c), nil
	}
	err := c.failed()
	if c.throw || errors.Is(err, httpclient.ErrSwitchingProtocols) {
		return nil, err
	}
	s.vu.Log().Warn("Request Failed", "error", err)
	return s.newResponse(c), nil
}

// failed is the failure of a call with what was asked for.
func (c *call) failed() error {
	if c.failure.Code == httpclient.ErrorDecompression || errors.Is(c.failure, httpclient.ErrSwitchingProtocols) {
		return c.failure
	}
	op := c.method
	if len(op) > 1 {
		op = op[:1] + strings.ToLower(op[1:])
	}
	return &url.Error{Op: op, URL: c.final.name, Err: c.failure}
}
