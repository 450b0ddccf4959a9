package js

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"github.com/dop251/goja"
)

// sourceConsole marks what scripts say with console.
var sourceConsole = slog.String("source", "console")

var consoleTable = NewTable(
	consoleMethod("log", slog.LevelInfo),
	consoleMethod("info", slog.LevelInfo),
	consoleMethod("debug", slog.LevelDebug),
	consoleMethod("warn", slog.LevelWarn),
	consoleMethod("error", slog.LevelError),
)

func consoleMethod(name string, level slog.Level) Entry[*VU] {
	return Method(name, func(vu *VU, call goja.FunctionCall) goja.Value {
		log := vu.Log()
		if !log.Enabled(context.Background(), level) {
			return goja.Undefined()
		}
		parts := make([]string, len(call.Arguments))
		for i, v := range call.Arguments {
			p := printer{rt: vu.rt}
			p.value(v, false)
			parts[i] = p.String()
		}
		log.LogAttrs(context.Background(), level, strings.Join(parts, " "), sourceConsole)
		return goja.Undefined()
	})
}

// maxPrintDepth bounds how deep console looks into nested objects.
const maxPrintDepth = 100

// printer writes values as console shows them.
type printer struct {
	strings.Builder
	rt   *goja.Runtime
	open []*goja.Object // the objects that are being written, outermost first
}

// value writes v; strings inside of objects are quoted.
func (p *printer) value(v goja.Value, quoted bool) {
	obj, ok := v.(*goja.Object)
	switch {
	case v == nil || (quoted && goja.IsUndefined(v)):
		p.WriteString("null")
	case ok:
		p.object(obj)
	case quoted && goja.IsString(v):
		p.WriteString(`"` + v.String() + `"`)
	default:
		p.primitive(v)
	}
}

func (p *printer) primitive(v goja.Value) {
	if s, ok := v.(*goja.Symbol); ok {
		p.WriteString(s.String())
		return
	}
	p.WriteString(v.String())
}

func (p *printer) object(obj *goja.Object) {
	for _, o := range p.open {
		if o == obj {
			p.WriteString("[Circular]")
			return
		}
	}
	if len(p.open) == maxPrintDepth {
		p.WriteString("[Object]")
		return
	}
	p.open = append(p.open, obj)
	defer func() { p.open = p.open[:len(p.open)-1] }()
	if _, ok := goja.AssertFunction(obj); ok {
		p.WriteString("[object Function]")
		return
	}
	if b, ok := arrayBuffer(obj); ok {
		p.buffer(b.Bytes())
		return
	}
	switch obj.ClassName() {
	case "Error":
		p.WriteString(obj.String())
	case "Date":
		p.date(obj)
	case "Array":
		p.list(obj)
	default:
		if name, ok := viewName(p.rt, obj); ok {
			p.WriteString(name + "(" + obj.Get("length").String() + ") ")
			p.list(obj)
			return
		}
		p.fields(obj)
	}
}

func (p *printer) date(obj *goja.Object) {
	toJSON, ok := goja.AssertFunction(obj.Get("toJSON"))
	if !ok {
		p.WriteString(obj.String())
		return
	}
	v, err := toJSON(obj)
	if err != nil {
		Throw(p.rt, err)
	}
	p.value(v, true)
}

func (p *printer) list(obj *goja.Object) {
	n := obj.Get("length").ToInteger()
	if n <= 0 {
		p.WriteString("[]")
		return
	}
	for i := range n {
		if i == 0 {
			p.WriteString("[ ")
		} else {
			p.WriteString(", ")
		}
		p.value(obj.Get(strconv.FormatInt(i, 10)), true)
	}
	p.WriteString(" ]")
}

func (p *printer) fields(obj *goja.Object) {
	keys := obj.Keys()
	if len(keys) == 0 {
		p.WriteString("{}")
		return
	}
	for i, key := range keys {
		if i == 0 {
			p.WriteString("{ ")
		} else {
			p.WriteString(", ")
		}
		p.WriteString(key + ": ")
		p.value(obj.Get(key), true)
	}
	p.WriteString(" }")
}

func (p *printer) buffer(data []byte) {
	const hex = "0123456789abcdef"
	p.WriteString("ArrayBuffer { [Uint8Contents]: <")
	for i, b := range data {
		if i > 0 {
			p.WriteByte(' ')
		}
		p.WriteByte(hex[b>>4])
		p.WriteByte(hex[b&15])
	}
	p.WriteString(">, byteLength: " + strconv.Itoa(len(data)) + " }")
}

// viewName tells typed arrays from other objects.
func viewName(rt *goja.Runtime, obj *goja.Object) (string, bool) {
	tag := obj.GetSymbol(goja.SymToStringTag)
	if tag == nil || !goja.IsString(tag) {
		return "", false
	}
	name := tag.String()
	return name, strings.HasSuffix(name, "Array") && obj.Get("BYTES_PER_ELEMENT") != nil
}
