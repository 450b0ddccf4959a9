package js

import (
	"reflect"

	"github.com/dop251/goja"
)

// Function returns the function that v is, of the runtime, for native functions that are given one and call it before they return.
// What it throws passes through the caller as a panic, as it does through functions of the script: a caller that has
// something to finish defers it. ok is false when v is no function.
func Function(rt *goja.Runtime, v goja.Value) (f func(goja.FunctionCall) goja.Value, ok bool) {
	obj, isObject := v.(*goja.Object)
	if !isObject {
		return nil, false
	}
	if obj.ExportType() == functionType { // of all but classes, proxies and the like
		if f, ok = obj.Export().(func(goja.FunctionCall) goja.Value); ok {
			return f, true
		}
	}
	call, ok := goja.AssertFunction(v)
	if !ok {
		return nil, false
	}
	return func(c goja.FunctionCall) goja.Value {
		v, err := call(c.This, c.Arguments...)
		if err != nil {
			Throw(rt, err)
		}
		return v
	}, true
}

var functionType = reflect.TypeFor[func(goja.FunctionCall) goja.Value]()
