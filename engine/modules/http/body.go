package http

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
)

// bodyArgument reads a request's body and says what content type it has by itself, "" for none.
func (s *State) bodyArgument(v goja.Value) (body httpclient.Body, contentType string, err error) {
	if text, ok := v.(goja.String); ok {
		return httpclient.Text(text.String()), "", nil
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

// formArgument makes a body of the properties of an object: form data in parts when a file is among them.
func (s *State) formArgument(obj *goja.Object) (httpclient.Body, string, error) {
	keys := obj.Keys()
	values := make([]goja.Value, len(keys))
	hasFile := false
	for i, key := range keys {
		values[i] = obj.Get(key)
		hasFile = hasFile || fileOf(values[i]) != nil
	}
	if hasFile {
		return newMultipart(keys, values)
	}
	return httpclient.Text(formEncode(keys, values)), "application/x-www-form-urlencoded", nil
}

// formEncode encodes properties in the order of their names.
func formEncode(keys []string, values []goja.Value) string {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(keys[a], keys[b]) })
	var b strings.Builder
	for _, i := range order {
		encodeField(&b, url.QueryEscape(keys[i]), values[i])
	}
	return b.String()
}

// encodeField writes a field, and one for each element of an array.
func encodeField(b *strings.Builder, key string, v goja.Value) {
	if obj, ok := v.(*goja.Object); ok && obj.ClassName() == "Array" {
		for i := range int(obj.Get("length").ToInteger()) {
			encodePair(b, key, obj.Get(strconv.Itoa(i)))
		}
		return
	}
	encodePair(b, key, v)
}

func encodePair(b *strings.Builder, key string, v goja.Value) {
	if b.Len() > 0 {
		b.WriteByte('&')
	}
	b.WriteString(key)
	b.WriteByte('=')
	b.WriteString(url.QueryEscape(formText(v)))
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
