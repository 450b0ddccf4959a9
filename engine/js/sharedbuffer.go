package js

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/dop251/goja"
)

// An ArrayBuffer of shared bytes is safe as long as no view of it exists: the
// language reads and writes buffers through views alone (slice copies). So a VU
// that opens large files has its view constructors replaced by ones
// that give the buffer bytes of its own just before its first view is made.
// They must be in place before any code of the script could keep the
// originals, hence the throw-away VU that runs first opens such files as
// copies, and those after it are prepared from the start.

// viewConstructors are the ways to make a view of an ArrayBuffer.
var viewConstructors = []string{
	"Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array",
	"BigInt64Array", "BigUint64Array", "Float32Array", "Float64Array", "DataView",
}

// guardViews prepares the VU for buffers of shared bytes.
func (vu *VU) guardViews() error {
	vu.guarded = make(map[*goja.Object]struct{})
	global := vu.rt.GlobalObject()
	for _, name := range viewConstructors {
		original, ok := global.Get(name).(*goja.Object)
		if !ok {
			continue // not in this version of the language
		}
		if err := vu.guardView(global, name, original); err != nil {
			return fmt.Errorf("js: guard %s: %w", name, err)
		}
	}
	return nil
}

// guardView puts a constructor in the place of the original one that is like it
// in all but where it comes by its arguments.
func (vu *VU) guardView(global *goja.Object, name string, original *goja.Object) error {
	construct, ok := goja.AssertConstructor(original)
	if !ok {
		return errors.New("not a constructor")
	}
	guard := Class(vu.rt, name, func(call goja.ConstructorCall) *goja.Object {
		vu.unshare(call.Argument(0))
		view, err := construct(call.NewTarget, call.Arguments...)
		if err != nil {
			Throw(vu.rt, err)
		}
		return view
	})
	proto := original.Get("prototype").ToObject(vu.rt)
	return errors.Join(
		guard.SetPrototype(original), // for its static functions and constants
		guard.DefineDataProperty("prototype", proto, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE),
		proto.DefineDataProperty("constructor", guard, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE),
		global.DefineDataProperty(name, guard, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE),
	)
}

// unshare gives v bytes of its own when it is a buffer of shared ones.
func (vu *VU) unshare(v goja.Value) {
	buffer, ok := v.(*goja.Object)
	if !ok {
		return
	}
	if _, shared := vu.guarded[buffer]; !shared {
		return
	}
	delete(vu.guarded, buffer)
	if b, ok := arrayBuffer(buffer); ok {
		ownBytes(b)
	}
}

// canSwap says that the bytes behind a goja.ArrayBuffer can be exchanged. goja
// has no call for it, so that ownBytes depends on a field by its name; were it
// to go, every VU would get copies of the files it opens.
var canSwap = bytesField(goja.New().NewArrayBuffer([]byte{1})).IsValid()

// ownBytes replaces the bytes behind a buffer by a copy of them.
func ownBytes(b goja.ArrayBuffer) {
	field := bytesField(b)
	*(*[]byte)(unsafe.Pointer(field.UnsafeAddr())) = bytes.Clone(b.Bytes())
}

// bytesField finds the field with the bytes of a buffer; the zero Value when
// goja's types are not what is expected.
func bytesField(b goja.ArrayBuffer) reflect.Value {
	v := reflect.ValueOf(b)
	if v.Kind() != reflect.Struct || v.NumField() != 1 || v.Field(0).Kind() != reflect.Pointer {
		return reflect.Value{}
	}
	field := v.Field(0).Elem().FieldByName("data")
	if !field.IsValid() || field.Type() != reflect.TypeFor[[]byte]() || !bytes.Equal(field.Bytes(), b.Bytes()) {
		return reflect.Value{}
	}
	return field
}
