package http

import (
	"errors"
	"fmt"
	nethttp "net/http"
	"net/url"
	"time"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// jarObject is a CookieJar as scripts see it.
type jarObject struct {
	state   *State
	jar     *jar
	methods map[string]goja.Value
}

var jarMethods = []string{"clear", "cookiesForURL", "delete", "set"}

// jsCookieJar is http.cookieJar(): the VU's jar.
func (s *State) jsCookieJar(goja.FunctionCall) goja.Value {
	s.vu.NotIn("http.cookieJar()", js.StageInit)
	return s.newJarObject(s.jar)
}

// jsNewCookieJar is new http.CookieJar(): a jar of its own.
func (s *State) jsNewCookieJar(call goja.ConstructorCall) *goja.Object {
	obj := s.newJarObject(new(jar))
	if err := obj.SetPrototype(call.This.Prototype()); err != nil {
		s.throw(err)
	}
	return obj
}

func (s *State) newJarObject(j *jar) *goja.Object {
	return s.rt.NewDynamicObject(&jarObject{state: s, jar: j, methods: make(map[string]goja.Value)})
}

// Get and the methods below make a jar an object of JS.
func (o *jarObject) Get(name string) goja.Value {
	if v, ok := o.methods[name]; ok {
		return v
	}
	var call func(goja.FunctionCall) goja.Value
	switch name {
	case "cookiesForURL":
		call = o.cookiesForURL
	case "set":
		call = o.set
	case "clear":
		call = o.clear
	case "delete":
		call = o.remove
	default:
		return nil
	}
	o.methods[name] = js.Func(o.state.rt, name, call)
	return o.methods[name]
}

// Set refuses: a jar has methods only.
func (o *jarObject) Set(string, goja.Value) bool { return false }

// Has tells whether there is such a method.
func (o *jarObject) Has(name string) bool {
	for _, m := range jarMethods {
		if m == name {
			return true
		}
	}
	return false
}

// Delete refuses to delete the methods there are.
func (o *jarObject) Delete(name string) bool { return !o.Has(name) }

// Keys lists the methods.
func (o *jarObject) Keys() []string { return jarMethods }

func (o *jarObject) url(call goja.FunctionCall) *url.URL {
	u, err := url.Parse(call.Argument(0).String())
	if err != nil {
		o.state.throw(err)
	}
	return u
}

// cookiesForURL gives {name: [value, …]}.
func (o *jarObject) cookiesForURL(call goja.FunctionCall) goja.Value {
	values := make(map[string][]any)
	var order []string
	for _, c := range o.jar.cookies(o.url(call)) {
		if _, ok := values[c.Name]; !ok {
			order = append(order, c.Name)
		}
		values[c.Name] = append(values[c.Name], c.Value)
	}
	obj := o.state.rt.NewObject()
	for _, name := range order {
		o.state.put(obj, name, o.state.rt.NewArray(values[name]...))
	}
	return obj
}

// set is set(url, name, value, {domain, path, expires, max_age, secure, http_only}).
func (o *jarObject) set(call goja.FunctionCall) goja.Value {
	u := o.url(call)
	c := &nethttp.Cookie{Name: call.Argument(1).String()}
	if v := call.Argument(2); !goja.IsUndefined(v) {
		c.Value = v.String()
	}
	err := o.state.each(call.Argument(3), func(key string, v goja.Value) error { return setAttribute(c, key, v) })
	if err == nil {
		err = o.jar.set(u, []*nethttp.Cookie{c})
	}
	if err != nil {
		o.state.throw(err)
	}
	return o.state.rt.ToValue(true)
}

func setAttribute(c *nethttp.Cookie, key string, v goja.Value) error {
	switch key {
	case "domain":
		c.Domain = v.String()
	case "path":
		c.Path = v.String()
	case "max_age":
		c.MaxAge = int(v.ToInteger())
	case "secure":
		c.Secure = v.ToBoolean()
	case "http_only":
		c.HttpOnly = v.ToBoolean()
	case "expires":
		if text := v.String(); text != "" {
			expires, err := time.Parse(time.RFC1123, text)
			if err != nil {
				return fmt.Errorf("CookieJar.set(): expires %q is not like %q: %w", text, time.RFC1123, err)
			}
			c.Expires = expires
		}
	}
	return nil
}

// clear removes the cookies that would be sent to a URL.
func (o *jarObject) clear(call goja.FunctionCall) goja.Value {
	u := o.url(call)
	o.expire(u, o.jar.cookies(u))
	return goja.Undefined()
}

// remove removes the cookies of one name that would be sent to a URL.
func (o *jarObject) remove(call goja.FunctionCall) goja.Value {
	if len(call.Arguments) < 2 {
		o.state.throw(errors.New("CookieJar.delete() takes a URL and the name of a cookie"))
	}
	o.expire(o.url(call), []*nethttp.Cookie{{Name: call.Argument(1).String()}})
	return goja.Undefined()
}

func (o *jarObject) expire(u *url.URL, cookies []*nethttp.Cookie) {
	if len(cookies) == 0 || !o.jar.used() {
		return
	}
	for _, c := range cookies {
		c.MaxAge = -1
	}
	if err := o.jar.set(u, cookies); err != nil {
		o.state.throw(err)
	}
}

// put defines a property of a fresh object.
func (s *State) put(obj *goja.Object, name string, v any) {
	if err := obj.DefineDataProperty(name, s.rt.ToValue(v), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE); err != nil {
		s.throw(err)
	}
}
