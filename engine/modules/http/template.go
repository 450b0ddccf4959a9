package http

import (
	"errors"
	"strconv"

	"github.com/dop251/goja"
)

// template is what http.url`https://x/${id}` gives: a URL and the name that all URLs of the template share.
type template struct {
	url, name string
	state     *State
}

// jsURL is the tag function http.url. Values are not escaped; null and undefined leave nothing.
func (s *State) jsURL(call goja.FunctionCall) goja.Value {
	parts, ok := call.Argument(0).(*goja.Object)
	if !ok || parts.ClassName() != "Array" {
		s.throw(errors.New("http.url is for template literals: http.url`https://example.com/${id}`"))
	}
	n := int(parts.Get("length").ToInteger())
	var rooms [2][128]byte // for the usual lengths
	url, name := rooms[0][:0], rooms[1][:0]
	for i := range n {
		part := parts.Get(strconv.Itoa(i)).String()
		url = append(url, part...)
		name = append(name, part...)
		if i == n-1 {
			break
		}
		name = append(name, "${}"...)
		if v := call.Argument(i + 1); !goja.IsUndefined(v) && !goja.IsNull(v) {
			url = append(url, v.String()...)
		}
	}
	return s.rt.NewDynamicObject(&template{url: string(url), name: string(name), state: s})
}

// Get and the methods below make a template an object of JS.
func (t *template) Get(name string) goja.Value {
	switch name {
	case "name":
		return t.state.rt.ToValue(t.name)
	case "url":
		return t.state.rt.ToValue(t.url)
	case "clean_url":
		return t.state.rt.ToValue(t.clean())
	}
	return nil
}

// clean is the URL without credentials.
func (t *template) clean() string {
	to, err := t.state.targets.get(t.url)
	if err != nil {
		return t.url
	}
	return to.name
}

// Set assigns to name or url.
func (t *template) Set(name string, v goja.Value) bool {
	switch name {
	case "name":
		t.name = v.String()
	case "url":
		t.url = v.String()
	default:
		return false
	}
	return true
}

// Has tells whether there is such a property.
func (t *template) Has(name string) bool {
	return name == "name" || name == "url" || name == "clean_url"
}

// Delete refuses to delete the properties there are.
func (t *template) Delete(name string) bool { return !t.Has(name) }

// Keys lists the properties.
func (t *template) Keys() []string { return []string{"name", "url", "clean_url"} }
