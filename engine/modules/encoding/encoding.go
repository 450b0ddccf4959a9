// Package encoding is the module k6/encoding: base64 in its four alphabets.
package encoding

import (
	"encoding/base64"
	"fmt"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// functions are the exports of the module.
var functions = js.NewTable(
	js.Method("b64decode", b64decode),
	js.Method("b64encode", b64encode),
)

// New returns the module.
func New() js.Module {
	return js.Module{
		Path:  "k6/encoding",
		Names: functions.Names(),
		Open:  func(vu *js.VU) *goja.Object { return functions.Object(vu.Runtime(), vu) },
	}
}

// alphabet gives the encoding of a name; other names mean the standard one, as in k6.
func alphabet(name goja.Value) *base64.Encoding {
	switch name.String() {
	case "rawstd":
		return base64.RawStdEncoding
	case "url":
		return base64.URLEncoding
	case "rawurl":
		return base64.RawURLEncoding
	}
	return base64.StdEncoding
}

// b64encode is b64encode(data[, encoding]).
func b64encode(vu *js.VU, call goja.FunctionCall) goja.Value {
	data, err := js.Input(call.Argument(0))
	if err != nil {
		js.Throw(vu.Runtime(), fmt.Errorf("b64encode: %w", err))
	}
	return vu.Runtime().ToValue(alphabet(call.Argument(1)).EncodeToString(data))
}

// b64decode is b64decode(text[, encoding[, format]]): an ArrayBuffer, or with the format "s" a string.
func b64decode(vu *js.VU, call goja.FunctionCall) goja.Value {
	rt := vu.Runtime()
	text := ""
	if v := call.Argument(0); !goja.IsUndefined(v) && !goja.IsNull(v) {
		text = v.String()
	}
	data, err := alphabet(call.Argument(1)).DecodeString(text)
	if err != nil {
		js.Throw(rt, fmt.Errorf("b64decode: %w", err))
	}
	if format := call.Argument(2); format.String() == "s" {
		return rt.ToValue(string(data))
	}
	return rt.ToValue(rt.NewArrayBuffer(data))
}
