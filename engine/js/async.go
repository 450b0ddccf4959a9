package js

import "github.com/dop251/goja"

// IsAsync says that v is an async function.
func IsAsync(v goja.Value) bool {
	fn, ok := v.(*goja.Object)
	if !ok || fn.Prototype() == nil {
		return false
	}
	tag := fn.Prototype().GetSymbol(goja.SymToStringTag)
	return tag != nil && goja.IsString(tag) && tag.String() == "AsyncFunction"
}
