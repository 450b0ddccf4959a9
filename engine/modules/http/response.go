package http

import (
	"io"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
	"hive/engine/js"
)

// response is a Response object of JS over the outcome of a call. Its properties are made when they are read, most
// never are. Scripts can assign to them, but neither add nor delete any.
type response struct {
	state *State
	call  *call // nil when no request was made
	err   error // why not

	assigned properties // by the script, or made and kept for what it may change
	body     goja.Value // nil until it is read or assigned
	text     string     // of the body, once hasText
	hasText  bool
	valid    trilean    // whether text is JSON
	parsed   goja.Value // what json() gave
}

// responseFields lists the properties in the order in which Object.keys gives them.
var responseFields = []string{
	"remote_ip", "remote_port", "url", "status", "status_text", "proto", "headers", "cookies", "body", "timings",
	"tls_version", "tls_cipher_suite", "ocsp", "error", "error_code", "request", "clickLink", "html", "json", "submitForm",
}

func (s *State) newResponse(c *call) *goja.Object {
	c.shown = response{state: s, call: c}
	return s.rt.NewDynamicObject(&c.shown)
}

// noCall stands in for the call of a response to a request that was not made.
var noCall = new(call)

// unsent is the response to a request that could not be made, for the reason err if there is one.
func (s *State) unsent(err error) *goja.Object {
	return s.rt.NewDynamicObject(&response{state: s, call: noCall, err: err})
}

// Get and the methods below make a response an object of JS.
func (r *response) Get(name string) goja.Value {
	if v := r.assigned.get(name); v != nil {
		return v
	}
	rt, c := r.state.rt, r.call
	switch name {
	case "status":
		return rt.ToValue(c.resp.Status)
	case "body":
		return r.bodyValue()
	case "timings":
		return r.keep(name, rt.NewDynamicObject(&timings{rt: rt, of: c.resp.Timings}))
	case "headers":
		return r.keep(name, r.headers())
	case "cookies":
		return r.keep(name, r.cookies())
	case "url":
		return rt.ToValue(r.url())
	case "status_text":
		return rt.ToValue(c.resp.StatusText)
	case "proto":
		return rt.ToValue(c.resp.Proto)
	case "remote_ip":
		return rt.ToValue(c.resp.RemoteIP)
	case "remote_port":
		return rt.ToValue(c.resp.RemotePort)
	case "tls_version":
		return rt.ToValue(c.resp.TLSVersion)
	case "tls_cipher_suite":
		return rt.ToValue(c.resp.CipherSuite)
	case "ocsp":
		return r.keep(name, r.ocsp())
	case "error":
		return rt.ToValue(r.errorText())
	case "error_code":
		return rt.ToValue(r.errorCode())
	case "request":
		return r.keep(name, r.request())
	}
	return r.method(name)
}

// keep makes a property that is an object the same one each time it is read.
func (r *response) keep(name string, v goja.Value) goja.Value {
	r.assigned.set(name, v)
	return v
}

// method binds a method to this response, so that it also works when it is taken off.
func (r *response) method(name string) goja.Value {
	var call func(goja.FunctionCall) goja.Value
	switch name {
	case "json":
		call = r.json
	case "html":
		call = r.html
	case "submitForm":
		call = r.submitForm
	case "clickLink":
		call = r.clickLink
	default:
		return nil
	}
	return r.keep(name, js.Func(r.state.rt, name, call))
}

// Set assigns to a property that is there, with the type it has.
func (r *response) Set(name string, v goja.Value) bool {
	rt := r.state.rt
	switch name {
	case "status", "remote_port", "error_code":
		v = rt.ToValue(v.ToInteger())
	case "url", "status_text", "proto", "remote_ip", "tls_version", "tls_cipher_suite", "error":
		v = rt.ToValue(v.String())
	case "body":
		r.setBody(v)
		return true
	case "headers", "cookies", "timings", "ocsp", "request":
	default:
		return false
	}
	r.keep(name, v)
	return true
}

// Has tells whether there is such a property.
func (r *response) Has(name string) bool { return slices.Contains(responseFields, name) }

// Delete refuses to delete the properties there are.
func (r *response) Delete(name string) bool { return !r.Has(name) }

// Keys lists the properties.
func (r *response) Keys() []string { return responseFields }

// bodyValue makes the body: a string, an ArrayBuffer, or null.
func (r *response) bodyValue() goja.Value {
	if r.body == nil {
		r.body = r.newBody()
	}
	return r.body
}

func (r *response) newBody() goja.Value {
	c := r.call
	if !c.hasBody() {
		return goja.Null()
	}
	if c.response == responseBinary {
		return r.state.rt.ToValue(r.state.rt.NewArrayBuffer(c.resp.Body))
	}
	return r.state.rt.ToValue(r.textOf(c.resp.Body))
}

// hasBody tells whether a script gets a body, an empty one perhaps.
func (c *call) hasBody() bool {
	status := c.resp.Status
	return c.failure == nil && status >= 200 && status != 204 && status != 304 && c.response != responseNone
}

// textOf is the body as a string that shares its bytes, which nobody writes to from here on.
func (r *response) textOf(body []byte) string {
	if !r.hasText {
		r.text, r.hasText = unsafe.String(unsafe.SliceData(body), len(body)), true
	}
	return r.text
}

func (r *response) setBody(v goja.Value) {
	r.body, r.parsed, r.valid = v, nil, unknown
	r.text, r.hasText = "", false
}

// content is the body as text; ok is false when there is none, or it is no text or bytes.
func (r *response) content() (text string, ok bool) {
	if r.hasText {
		return r.text, true
	}
	if r.body == nil && r.call.hasBody() && r.call.response == responseText {
		return r.textOf(r.call.resp.Body), true
	}
	switch v := r.bodyValue().(type) {
	case goja.String:
		return v.String(), true
	case *goja.Object:
		if buffer, ok := v.Export().(goja.ArrayBuffer); ok {
			return string(buffer.Bytes()), true
		}
	}
	return "", false
}

// headers gives {Name: "value, value"}.
func (r *response) headers() *goja.Object {
	obj := r.state.rt.NewObject()
	header := r.call.resp.Header
	for i := range header {
		name := header[i].Name
		if first(header, name) == i {
			r.state.put(obj, name, r.call.resp.Values(name))
		}
	}
	return obj
}

func first(header []httpclient.Field, name string) int {
	for i := range header {
		if header[i].Name == name {
			return i
		}
	}
	return -1
}

// cookies gives {name: [{name, value, domain, …}, …]} of the Set-Cookie fields.
func (r *response) cookies() *goja.Object {
	s := r.state
	lists := make(map[string][]any)
	obj := s.rt.NewObject()
	for _, c := range setCookies(r.call.resp.Header) {
		one := s.rt.NewObject()
		s.put(one, "name", c.Name)
		s.put(one, "value", c.Value)
		s.put(one, "domain", c.Domain)
		s.put(one, "path", c.Path)
		s.put(one, "http_only", c.HttpOnly)
		s.put(one, "secure", c.Secure)
		s.put(one, "max_age", c.MaxAge)
		s.put(one, "expires", c.Expires.UnixNano()/1e6)
		lists[c.Name] = append(lists[c.Name], one)
		s.put(obj, c.Name, s.rt.NewArray(lists[c.Name]...))
	}
	return obj
}

// url is where the response came from.
func (r *response) url() string {
	if r.call.final == nil {
		return ""
	}
	return r.call.final.text
}

func (r *response) errorText() string {
	switch {
	case r.err != nil:
		return r.err.Error()
	case r.call.failure != nil:
		return r.call.failure.Message
	}
	return ""
}

func (r *response) errorCode() int {
	switch {
	case r.err != nil:
		return argumentCode(r.err)
	case r.call.failure != nil:
		return r.call.failure.Code
	case r.call.resp.Status >= 400:
		return httpclient.ErrorGeneric + r.call.resp.Status
	}
	return 0
}

// argumentCode is the error_code of arguments of which no request could be made; 0 unless it was the URL.
func argumentCode(err error) int {
	if e, ok := err.(*httpclient.Error); ok {
		return e.Code
	}
	return 0
}

// ocsp shows what the server said about its certificate.
func (r *response) ocsp() *goja.Object {
	obj := r.state.rt.NewObject()
	o := r.call.resp.OCSP
	if o == nil {
		o = new(httpclient.OCSP)
	}
	r.state.put(obj, "produced_at", moment(o.ProducedAt))
	r.state.put(obj, "this_update", moment(o.ThisUpdate))
	r.state.put(obj, "next_update", moment(o.NextUpdate))
	r.state.put(obj, "revoked_at", moment(o.RevokedAt))
	r.state.put(obj, "revocation_reason", o.RevocationReason)
	r.state.put(obj, "status", o.Status)
	return obj
}

// moment is a time in milliseconds since 1970, 0 for none.
func moment(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// request shows what was sent at first, before any redirect.
func (r *response) request() goja.Value {
	s, c := r.state, r.call
	if c == noCall {
		return goja.Null()
	}
	headers := s.rt.NewObject()
	if c.host != "" {
		s.put(headers, "Host", s.rt.NewArray(c.host))
	}
	for _, f := range c.sent {
		s.put(headers, f.Name, s.rt.NewArray(f.Value))
	}
	obj := s.rt.NewObject()
	s.put(obj, "method", c.method)
	s.put(obj, "url", c.to.text)
	s.put(obj, "headers", headers)
	s.put(obj, "body", bodyText(c.body))
	s.put(obj, "cookies", r.sentCookies())
	return obj
}

// bodyText is the content of a body as a string.
func bodyText(b httpclient.Body) string {
	switch b := b.(type) {
	case nil:
		return ""
	case httpclient.Text:
		return string(b)
	case httpclient.Bytes:
		return string(b)
	}
	var text strings.Builder
	if _, err := io.Copy(&text, b.NewReader()); err != nil {
		return ""
	}
	return text.String()
}

// sentCookies gives {name: [{name, value, replace}, …]} of the Cookie field.
func (r *response) sentCookies() *goja.Object {
	s := r.state
	lists := make(map[string][]any)
	obj := s.rt.NewObject()
	for pair := range strings.SplitSeq(field(r.call.sent, "Cookie"), "; ") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		one := s.rt.NewObject()
		s.put(one, "name", name)
		s.put(one, "value", strings.Trim(value, `"`))
		s.put(one, "replace", false)
		lists[name] = append(lists[name], one)
		s.put(obj, name, s.rt.NewArray(lists[name]...))
	}
	return obj
}
