package http

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"time"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
	"hive/engine/metric"
)

// newCall reads the arguments of a request. The error is about them: nothing was sent.
func (s *State) newCall(method string, url, body, options goja.Value) (*call, error) {
	c := &call{
		method: method, tags: s.vu.Tags(), jar: s.jar, header: s.run.plain, timeout: defaultTimeout,
		hops: s.run.cfg.MaxRedirects, expect: s.expect, response: s.responseTypeDefault(), throw: s.vu.Throws(),
	}
	if c.method == "" {
		c.method = "GET"
	}
	var err error
	var name string
	if c.to, name, err = s.urlArgument(url); err != nil {
		return nil, err
	}
	contentType := ""
	if !goja.IsUndefined(body) && !goja.IsNull(body) {
		if c.body, contentType, err = s.bodyArgument(body); err != nil {
			return nil, err
		}
	}
	c.encoded = c.body
	if s.fields > 0 {
		c.resp.Header = make([]httpclient.Field, 0, s.fields)
	}
	if obj, ok := options.(*goja.Object); ok || contentType != "" {
		if err := s.readParams(c, obj, contentType); err != nil {
			return nil, err
		}
	}
	if _, named := c.tags.Get("name"); !named && name != "" {
		c.tags = c.tags.With("name", name)
	}
	return c, nil
}

// readParams reads the params of a request, nil for none, and adds what follows from them to its header.
func (s *State) readParams(c *call, obj *goja.Object, contentType string) error {
	p := paramReader{s, c}
	if obj != nil {
		if err := p.read(obj); err != nil {
			return err
		}
	}
	if contentType != "" {
		p.addHeader("Content-Type", contentType)
	}
	if len(c.compression) > 0 && c.body != nil {
		return p.compress()
	}
	return nil
}

// invalidURL is the error for something that is no URL at all.
func invalidURL(what any) error {
	err := fmt.Errorf("invalid URL: %v is neither a string nor what http.url gives", what)
	return &httpclient.Error{Code: httpclient.ErrorInvalidURL, Message: err.Error(), Err: err}
}

// urlArgument reads a URL: a string, or what http.url gave, which also names the request.
func (s *State) urlArgument(v goja.Value) (to *target, name string, err error) {
	switch v := v.(type) {
	case goja.String:
		to, err = s.targets.get(v.String())
		return to, "", err
	case *goja.Object:
		if t, ok := v.Export().(*template); ok {
			to, err = s.targets.get(t.url)
			return to, t.name, err
		}
	}
	return nil, "", invalidURL(v)
}

// paramReader reads the params of a request into a call.
type paramReader struct {
	*State
	call *call
}

// params are what is read of a request's params, in this order; others are ignored. They are looked up one by one,
// which costs less than listing what a params object has.
var params = []struct {
	name string
	read func(paramReader, goja.Value) error
}{
	{"headers", paramReader.headers},
	{"cookies", paramReader.cookies},
	{"jar", paramReader.jarParam},
	{"tags", paramReader.tags},
	{"timeout", paramReader.timeout},
	{"redirects", paramReader.redirects},
	{"auth", paramReader.auth},
	{"responseType", paramReader.responseType},
	{"responseCallback", paramReader.responseCallback},
	{"compression", paramReader.compressionParam},
	{"throw", paramReader.throwParam},
}

func (p paramReader) read(obj *goja.Object) error {
	for i := range params {
		if v := obj.Get(params[i].name); v != nil {
			if err := params[i].read(p, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// each calls f with the properties of v, as Object.entries sees them.
func (s *State) each(v goja.Value, f func(key string, v goja.Value) error) error {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return nil
	}
	obj := v.ToObject(s.rt)
	for _, key := range obj.Keys() {
		if err := f(key, obj.Get(key)); err != nil {
			return err
		}
	}
	return nil
}

func (p paramReader) headers(v goja.Value) error {
	return p.each(v, func(key string, v goja.Value) error {
		p.setHeader(textproto.CanonicalMIMEHeaderKey(key), v.String())
		return nil
	})
}

// setHeader takes a header field of the script. Some of them are not sent as they are.
func (p paramReader) setHeader(name, value string) {
	switch name {
	case "Host":
		p.call.host = value
	case "Connection":
		p.call.hangUp = strings.EqualFold(strings.TrimSpace(value), "close")
	case "Content-Length":
		p.ignoreLength(value)
		return
	}
	p.own()
	for i := range p.call.header {
		if p.call.header[i].Name == name {
			p.call.header[i].Value = value
			return
		}
	}
	p.call.header = append(p.call.header, httpclient.Field{Name: name, Value: value})
}

// addHeader adds a field unless the script has set it.
func (p paramReader) addHeader(name, value string) {
	for i := range p.call.header {
		if p.call.header[i].Name == name {
			return
		}
	}
	p.own()
	p.call.header = append(p.call.header, httpclient.Field{Name: name, Value: value})
}

// own makes the header the call's own before it is changed; until then it is the run's.
func (p paramReader) own() {
	if !p.call.own {
		p.call.header = append(make([]httpclient.Field, 0, len(p.call.header)+2), p.call.header...)
		p.call.own = true
	}
}

func (p paramReader) ignoreLength(value string) {
	length := int64(0)
	if p.call.body != nil {
		length = p.call.body.Len()
	}
	if value != fmt.Sprint(length) {
		p.vu.Log().Warn(fmt.Sprintf("the Content-Length header %q of the %s request for %s is ignored: its body has %d bytes",
			value, p.call.method, p.call.to.name, length))
	}
}

func (p paramReader) cookies(v goja.Value) error {
	return p.each(v, func(name string, v goja.Value) error {
		if c, ok := cookieArgument(name, v); ok {
			p.call.cookies = append(p.call.cookies, c)
		}
		return nil
	})
}

func (p paramReader) jarParam(v goja.Value) error {
	if obj, ok := v.(*goja.Object); ok {
		if j, ok := obj.Export().(*jarObject); ok {
			p.call.jar = j.jar
		}
	}
	return nil
}

func (p paramReader) tags(v goja.Value) error {
	obj, ok := v.(*goja.Object)
	if !ok {
		return nil
	}
	var room [8]metric.Tag
	list := room[:0]
	for _, key := range obj.Keys() {
		v := obj.Get(key)
		value, ok := tagValue(v)
		if !ok {
			return fmt.Errorf("invalid request tags: the value of %q is %s; it must be a string, a boolean or a number", key, v)
		}
		list = append(list, metric.Tag{Key: key, Value: value})
	}
	p.call.tags = p.call.tags.WithAll(list)
	return nil
}

// tagValue gives the text of a value that may be a tag.
func tagValue(v goja.Value) (string, bool) {
	if s, ok := v.(goja.String); ok {
		return s.String(), true
	}
	switch v.Export().(type) {
	case bool, int64, float64:
		return v.String(), true
	}
	return "", false
}

func (p paramReader) timeout(v goja.Value) error {
	d, err := duration(v)
	if err != nil {
		return fmt.Errorf("invalid timeout: %w", err)
	}
	p.call.timeout = d
	return nil
}

// duration reads milliseconds or a duration like "1m30s".
func duration(v goja.Value) (time.Duration, error) {
	switch x := v.Export().(type) {
	case int64:
		return time.Duration(x) * time.Millisecond, nil
	case float64:
		return time.Duration(x * float64(time.Millisecond)), nil
	case string:
		if ms, ok := decimal(x); ok {
			return time.Duration(ms * float64(time.Millisecond)), nil
		}
		return time.ParseDuration(x)
	}
	return 0, fmt.Errorf("%s is neither a number of milliseconds nor a string like \"30s\"", v)
}

func (p paramReader) redirects(v goja.Value) error {
	p.call.hops, p.call.hopsSet = int(v.ToInteger()), true
	return nil
}

func (p paramReader) auth(v goja.Value) error {
	switch v.String() {
	case "digest":
		p.call.auth = authDigest
	case "ntlm":
		p.call.auth = authNTLM
	}
	return nil
}

func (p paramReader) responseType(v goja.Value) error {
	switch name := v.String(); name {
	case "text":
		p.call.response = responseText
	case "binary":
		p.call.response = responseBinary
	case "none":
		p.call.response = responseNone
	default:
		return fmt.Errorf("invalid responseType %q: it must be \"text\", \"binary\" or \"none\"", name)
	}
	return nil
}

func (p paramReader) responseCallback(v goja.Value) error {
	if goja.IsUndefined(v) {
		return nil
	}
	e, ok := expectationOf(v)
	if !ok {
		return errors.New("invalid responseCallback: it must be what expectedStatuses() returns, or null")
	}
	p.call.expect = e
	return nil
}

func (p paramReader) throwParam(v goja.Value) error {
	p.call.throw = v.ToBoolean()
	return nil
}
