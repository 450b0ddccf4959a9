package js

import (
	"errors"

	"github.com/dop251/goja"
)

// Freeze is Object.freeze for v and all that is in it. v is a tree, as parsed
// JSON is.
func Freeze(rt *goja.Runtime, v goja.Value) error {
	freeze, ok := goja.AssertFunction(rt.GlobalObject().Get("Object").ToObject(rt).Get("freeze"))
	if !ok {
		return errors.New("freeze: Object.freeze was replaced by something that is not a function")
	}
	return freezeTree(freeze, v)
}

func freezeTree(freeze goja.Callable, v goja.Value) error {
	obj, ok := v.(*goja.Object)
	if !ok {
		return nil
	}
	for _, key := range obj.Keys() {
		if err := freezeTree(freeze, obj.Get(key)); err != nil {
			return err
		}
	}
	_, err := freeze(goja.Undefined(), obj)
	return err
}
