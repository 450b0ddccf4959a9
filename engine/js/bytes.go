package js

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/dop251/goja"
)

// Bytes returns what v holds as bytes when it is an ArrayBuffer or a view of
// one; ok is false for other values. The result is the script's own memory: a
// caller that keeps it beyond the call copies it, and none modifies it, for
// content of files may be shared between VUs.
func Bytes(v goja.Value) (data []byte, ok bool) {
	obj, isObject := v.(*goja.Object)
	if !isObject {
		return nil, false
	}
	if b, ok := arrayBuffer(obj); ok {
		return b.Bytes(), true
	}
	if obj.Get("BYTES_PER_ELEMENT") == nil && !isDataView(obj) {
		return nil, false
	}
	buffer, isObject := obj.Get("buffer").(*goja.Object)
	if !isObject {
		return nil, false
	}
	b, ok := arrayBuffer(buffer)
	if !ok {
		return nil, false
	}
	all := b.Bytes()
	from, n := obj.Get("byteOffset").ToInteger(), obj.Get("byteLength").ToInteger()
	if from < 0 || n < 0 || from > int64(len(all)) || n > int64(len(all))-from {
		return nil, false
	}
	return all[from : from+n], true
}

var arrayBufferType = reflect.TypeFor[goja.ArrayBuffer]()

// arrayBuffer asks for the type first, for exporting other objects copies all
// that they hold.
func arrayBuffer(obj *goja.Object) (goja.ArrayBuffer, bool) {
	if obj.ExportType() != arrayBufferType {
		return goja.ArrayBuffer{}, false
	}
	b, ok := obj.Export().(goja.ArrayBuffer)
	return b, ok
}

func isDataView(obj *goja.Object) bool {
	tag := obj.GetSymbol(goja.SymToStringTag)
	return tag != nil && goja.IsString(tag) && tag.String() == "DataView"
}

// Input returns the bytes that a function is to work on: those of a string, as UTF-8, or of an ArrayBuffer or a view of one,
// as [Bytes] has them. The error says what v is and what is wanted.
func Input(v goja.Value) ([]byte, error) {
	if goja.IsString(v) {
		return []byte(v.String()), nil
	}
	if data, ok := Bytes(v); ok {
		return data, nil
	}
	if goja.IsUndefined(v) || goja.IsNull(v) {
		return nil, errors.New("the data are missing: want a string or an ArrayBuffer")
	}
	return nil, fmt.Errorf("the data are %s: want a string or an ArrayBuffer", v.ExportType())
}
