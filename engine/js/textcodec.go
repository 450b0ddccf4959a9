package js

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dop251/goja"
)

func newTextEncoder(vu *VU) goja.Value {
	class := Class(vu.rt, "TextEncoder", func(goja.ConstructorCall) *goja.Object { return nil })
	proto := class.Get("prototype").ToObject(vu.rt)
	define(proto, "encoding", vu.rt.ToValue("utf-8"))
	define(proto, "encode", Func(vu.rt, "encode", func(call goja.FunctionCall) goja.Value {
		s := ""
		if v := call.Argument(0); !goja.IsUndefined(v) {
			s = v.String()
		}
		return vu.Uint8Array([]byte(s))
	}))
	return class
}

// Uint8Array makes a script's Uint8Array that holds data itself.
func (vu *VU) Uint8Array(data []byte) goja.Value {
	view, err := vu.rt.New(vu.rt.GlobalObject().Get("Uint8Array"), vu.rt.ToValue(vu.rt.NewArrayBuffer(data)))
	if err != nil {
		Throw(vu.rt, err)
	}
	return view
}

// define adds a property that cannot fail to be added to a new object.
func define(obj *goja.Object, name string, v goja.Value) {
	_ = obj.DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
}

// encodings are the names under which a TextDecoder's encodings are known.
var encodings = map[string]string{
	"": "utf-8", "utf-8": "utf-8", "utf8": "utf-8", "unicode-1-1-utf-8": "utf-8",
	"utf-16": "utf-16le", "utf-16le": "utf-16le", "ucs-2": "utf-16le", "unicode": "utf-16le",
	"utf-16be": "utf-16be", "unicodefffe": "utf-16be",
}

func newTextDecoder(vu *VU) goja.Value {
	return Class(vu.rt, "TextDecoder", func(call goja.ConstructorCall) *goja.Object {
		label := ""
		if v := call.Argument(0); !goja.IsUndefined(v) {
			label = strings.ToLower(strings.TrimSpace(v.String()))
		}
		encoding, ok := encodings[label]
		if !ok {
			panic(rangeError(vu.rt, fmt.Sprintf("TextDecoder: unknown encoding %q; there are utf-8, utf-16le and utf-16be", label)))
		}
		d := &textDecoder{encoding: encoding}
		if v := call.Argument(1); !goja.IsUndefined(v) && !goja.IsNull(v) {
			options := v.ToObject(vu.rt)
			d.fatal, d.ignoreBOM = truthy(options.Get("fatal")), truthy(options.Get("ignoreBOM"))
		}
		define(call.This, "encoding", vu.rt.ToValue(d.encoding))
		define(call.This, "fatal", vu.rt.ToValue(d.fatal))
		define(call.This, "ignoreBOM", vu.rt.ToValue(d.ignoreBOM))
		define(call.This, "decode", Func(vu.rt, "decode", func(call goja.FunctionCall) goja.Value {
			return vu.decodeText(d, call)
		}))
		return nil
	})
}

func truthy(v goja.Value) bool { return v != nil && v.ToBoolean() }

func rangeError(rt *goja.Runtime, message string) *goja.Object {
	e, err := rt.New(rt.GlobalObject().Get("RangeError"), rt.ToValue(message))
	if err != nil {
		Throw(rt, err)
	}
	return e
}

func (vu *VU) decodeText(d *textDecoder, call goja.FunctionCall) goja.Value {
	var data []byte
	if v := call.Argument(0); !goja.IsUndefined(v) {
		var ok bool
		if data, ok = Bytes(v); !ok {
			panic(vu.rt.NewTypeError("TextDecoder.decode: the input must be an ArrayBuffer or a view of one"))
		}
	}
	stream := false
	if v := call.Argument(1); !goja.IsUndefined(v) && !goja.IsNull(v) {
		stream = truthy(v.ToObject(vu.rt).Get("stream"))
	}
	s, err := d.decode(data, stream)
	if err != nil {
		panic(vu.rt.NewTypeError(err.Error()))
	}
	return vu.rt.ToValue(s)
}

// textDecoder turns bytes into text, over several calls when streaming.
type textDecoder struct {
	encoding         string
	fatal, ignoreBOM bool
	pending          []byte // an unfinished character of the last call
	begun            bool   // the start, where a byte order mark may be, is past
}

var errText = errors.New("TextDecoder.decode: the data is not valid in this encoding")

func (d *textDecoder) decode(data []byte, more bool) (string, error) {
	data = append(d.pending, data...)
	d.pending = nil
	var b strings.Builder
	b.Grow(len(data))
	for len(data) > 0 {
		r, n := d.rune(data)
		if n == 0 && more {
			d.pending = append([]byte(nil), data...)
			break
		}
		if n <= 0 { // unfinished at the end, or -n invalid bytes
			if d.fatal {
				d.begun, d.pending = false, nil
				return "", errText
			}
			r, n = utf8.RuneError, max(-n, 1)
			if n > len(data) || d.unfinished(data) {
				n = len(data)
			}
		}
		if d.begun || r != '\uFEFF' || d.ignoreBOM {
			b.WriteRune(r)
		}
		d.begun = true
		data = data[n:]
	}
	if !more {
		d.begun = false
	}
	return b.String(), nil
}

// unfinished says that data is the valid start of a character and no more.
func (d *textDecoder) unfinished(data []byte) bool {
	_, n := d.rune(data)
	return n == 0
}

// rune reads the first character: its length, 0 when data ends within it, and
// -n when the first n bytes are invalid.
func (d *textDecoder) rune(data []byte) (rune, int) {
	switch d.encoding {
	case "utf-16le":
		return utf16Rune(data, func(i int) rune { return rune(data[i]) | rune(data[i+1])<<8 })
	case "utf-16be":
		return utf16Rune(data, func(i int) rune { return rune(data[i+1]) | rune(data[i])<<8 })
	default:
		return utf8Rune(data)
	}
}

func utf16Rune(data []byte, unit func(i int) rune) (rune, int) {
	if len(data) < 2 {
		return 0, 0
	}
	first := unit(0)
	switch {
	case !utf16.IsSurrogate(first):
		return first, 2
	case first >= 0xDC00:
		return 0, -2
	case len(data) < 4:
		return 0, 0
	}
	if r := utf16.DecodeRune(first, unit(2)); r != utf8.RuneError {
		return r, 4
	}
	return 0, -2
}

// utf8Rune counts as invalid the longest start of a character that cannot go
// on, as browsers do, where Go counts single bytes.
func utf8Rune(data []byte) (rune, int) {
	if r, n := utf8.DecodeRune(data); r != utf8.RuneError || n > 1 {
		return r, n
	}
	low, high, need := byte(0x80), byte(0xBF), 0
	switch b := data[0]; {
	case b >= 0xC2 && b <= 0xDF:
		need = 1
	case b >= 0xE0 && b <= 0xEF:
		need = 2
		if b == 0xE0 {
			low = 0xA0
		} else if b == 0xED {
			high = 0x9F
		}
	case b >= 0xF0 && b <= 0xF4:
		need = 3
		if b == 0xF0 {
			low = 0x90
		} else if b == 0xF4 {
			high = 0x8F
		}
	default:
		return 0, -1
	}
	for i := 1; i <= need; i++ {
		if i == len(data) {
			return 0, 0
		}
		if data[i] < low || data[i] > high {
			return 0, -i
		}
		low, high = 0x80, 0xBF
	}
	return utf8.RuneError, need + 1
}
