package http

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
)

// bodyArgument reads a request's body and says what content type it has by itself, "" for none.
func (s *State) bodyArgument(v goja.Value) (body httpclient.Body, contentType string, err error) {
	if text, ok := v.(goja.String); ok {
		return bytesOf(text.String()), "", nil
	}
	obj, ok := v.(*goja.Object)
	if !ok {
		return nil, "", unknownBody(v)
	}
	switch obj.ClassName() {
	case "Object", "ArrayBuffer":
	default:
		return nil, "", unknownBody(v)
	}
	switch obj.ExportType() {
	case typeArrayBuffer:
		return httpclient.Bytes(obj.Export().(goja.ArrayBuffer).Bytes()), "", nil
	case typeBytes:
		return httpclient.Bytes(obj.Export().([]byte)), "", nil
	case typeObject:
		return s.formArgument(obj)
	}
	return nil, "", unknownBody(v)
}

func unknownBody(v goja.Value) error {
	kind := "a value"
	if obj, ok := v.(*goja.Object); ok {
		kind = "an object of class " + obj.ClassName()
	}
	return fmt.Errorf("unknown type of request body: %s (%s); it must be a string, a plain object, an ArrayBuffer or a Uint8Array", v, kind)
}

// bytesOf is a text as a body that shares its memory, which nobody writes to: bodies are only read.
func bytesOf(text string) httpclient.Bytes {
	return unsafe.Slice(unsafe.StringData(text), len(text))
}

// formField is a field of a form, of which an array gives several.
type formField struct {
	name  string
	value goja.Value
}

// formArgument makes a body of the properties of an object: form data in parts when a file is among them.
func (s *State) formArgument(obj *goja.Object) (httpclient.Body, string, error) {
	keys := obj.Keys()
	fields := make([]formField, len(keys))
	hasFile := false
	for i, key := range keys {
		fields[i] = formField{key, obj.Get(key)}
		hasFile = hasFile || fileOf(fields[i].value) != nil
	}
	if hasFile {
		return newMultipart(fields)
	}
	return httpclient.Bytes(appendForm(make([]byte, 0, 32*len(fields)), fields)), "application/x-www-form-urlencoded", nil
}

// appendForm encodes fields, which it puts in the order of their names.
func appendForm(b []byte, fields []formField) []byte {
	slices.SortFunc(fields, func(a, b formField) int { return strings.Compare(a.name, b.name) })
	for _, f := range fields {
		b = appendField(b, url.QueryEscape(f.name), f.value)
	}
	return b
}

// appendField writes a field, and one for each element of an array.
func appendField(b []byte, name string, v goja.Value) []byte {
	if obj, ok := v.(*goja.Object); ok && obj.ClassName() == "Array" {
		for i := range int(obj.Get("length").ToInteger()) {
			b = appendPair(b, name, obj.Get(strconv.Itoa(i)))
		}
		return b
	}
	return appendPair(b, name, v)
}

func appendPair(b []byte, name string, v goja.Value) []byte {
	if len(b) > 0 {
		b = append(b, '&')
	}
	b = append(append(b, name...), '=')
	return append(b, url.QueryEscape(formText(v))...)
}

// formText is the text of a value in a form. What is no string, number or boolean looks as it does in k6, which prints
// the value as Go sees it: "<nil>" for null and "map[a:1]" for an object.
func formText(v goja.Value) string {
	if v == nil {
		return "<nil>"
	}
	if s, ok := v.(goja.String); ok {
		return s.String()
	}
	return fmt.Sprint(v.Export())
}

func decimal(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
