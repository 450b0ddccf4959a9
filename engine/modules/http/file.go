package http

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
)

// The Go types of JS objects that mean something to this module.
var (
	typeArrayBuffer = reflect.TypeFor[goja.ArrayBuffer]()
	typeBytes       = reflect.TypeFor[[]byte]()
	typeObject      = reflect.TypeFor[map[string]any]()
	typeFile        = reflect.TypeFor[*file]()
)

// file is what http.file returns. Its content is that of the script's string or ArrayBuffer, not a copy.
type file struct {
	data        goja.Value
	name        string
	contentType string
	rt          *goja.Runtime
}

// jsFile is http.file(data, filename?, contentType?).
func (s *State) jsFile(call goja.FunctionCall) goja.Value {
	f := &file{data: call.Argument(0), rt: s.rt, contentType: "application/octet-stream"}
	if f.content() == nil {
		s.throw(fmt.Errorf("http.file(): the data is %s; it must be a string or an ArrayBuffer", f.data))
	}
	f.name = strconv.FormatInt(time.Now().UnixNano(), 10)
	if len(call.Arguments) > 1 {
		f.name = call.Argument(1).String()
	}
	if len(call.Arguments) > 2 {
		f.contentType = call.Argument(2).String()
	}
	return s.rt.NewDynamicObject(f)
}

// content is nil when the data is of a wrong type.
func (f *file) content() httpclient.Body {
	if text, ok := f.data.(goja.String); ok {
		return httpclient.Text(text.String())
	}
	if obj, ok := f.data.(*goja.Object); ok && obj.ExportType() == typeArrayBuffer {
		return httpclient.Bytes(obj.Export().(goja.ArrayBuffer).Bytes())
	}
	return nil
}

// String shows a file where a form has no place for one, as k6 does.
func (f *file) String() string { return fmt.Sprintf("&{%s %s %s}", f.data, f.name, f.contentType) }

// Get and the methods below make a file an object of JS.
func (f *file) Get(name string) goja.Value {
	switch name {
	case "data":
		return f.data
	case "filename":
		return f.rt.ToValue(f.name)
	case "content_type":
		return f.rt.ToValue(f.contentType)
	}
	return nil
}

// Set assigns to one of the properties, with the type they have.
func (f *file) Set(name string, v goja.Value) bool {
	switch name {
	case "data":
		old := f.data
		f.data = v
		if f.content() == nil {
			f.data = old
			return false
		}
	case "filename":
		f.name = v.String()
	case "content_type":
		f.contentType = v.String()
	default:
		return false
	}
	return true
}

// Has tells whether there is such a property.
func (f *file) Has(name string) bool {
	return name == "data" || name == "filename" || name == "content_type"
}

// Delete refuses to delete the properties there are.
func (f *file) Delete(name string) bool { return !f.Has(name) }

// Keys lists the properties.
func (f *file) Keys() []string { return []string{"data", "filename", "content_type"} }

// fileOf returns the file that a value is, or nil.
func fileOf(v goja.Value) *file {
	if obj, ok := v.(*goja.Object); ok && obj.ExportType() == typeFile {
		return obj.Export().(*file)
	}
	return nil
}
