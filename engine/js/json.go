package js

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dop251/goja"
)

// Decode makes a new value of JSON; nil stands for undefined.
func (vu *VU) Decode(data json.RawMessage) (goja.Value, error) {
	if len(data) == 0 {
		return goja.Undefined(), nil
	}
	return ParseJSON(vu.rt, string(data))
}

// ParseJSON is the script's JSON.parse.
func ParseJSON(rt *goja.Runtime, text string) (v goja.Value, err error) {
	if ex := rt.Try(func() {
		parse, ok := goja.AssertFunction(rt.GlobalObject().Get("JSON").ToObject(rt).Get("parse"))
		if !ok {
			err = fmt.Errorf("JSON.parse was replaced by something that is not a function")
			return
		}
		v, err = parse(goja.Undefined(), rt.ToValue(text))
	}); ex != nil {
		return nil, ex
	}
	return v, err
}

// MarshalSetup is the JSON under which setup()'s result v travels to the VUs.
// It follows the rules of Go's encoding and not of JSON.stringify: undefined is
// null, a Date an RFC 3339 string, a Uint8Array base64, a Map a list of pairs;
// functions and cycles are errors.
func MarshalSetup(v goja.Value) (data json.RawMessage, err error) {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return json.RawMessage("null"), nil
	}
	if obj, ok := v.(*goja.Object); ok {
		return marshalObject(obj)
	}
	return marshal(v.Export())
}

// marshalObject exports with the getters of the script running, which may throw.
func marshalObject(obj *goja.Object) (data json.RawMessage, err error) {
	defer func() {
		switch x := recover().(type) {
		case nil:
		case *goja.Exception:
			err = x
		case goja.Value:
			err = fmt.Errorf("%s", x)
		case *goja.InterruptedError:
			err = x
		default:
			panic(x)
		}
	}()
	return marshal(obj.Export())
}

func marshal(v any) (json.RawMessage, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("setup() must return data that can be written as JSON: %w", err)
	}
	return data, nil
}

// option is one key of the consolidated options.
type option struct {
	name  string
	value *template
}

// parseOptions splits a JSON object; keys that are null are left out.
func parseOptions(data []byte) ([]option, error) {
	if len(data) == 0 {
		return nil, nil
	}
	all, err := parseTemplate(data)
	if err != nil {
		return nil, fmt.Errorf("js: Config.Options: %w", err)
	}
	if all.kind != objectTemplate {
		return nil, fmt.Errorf("js: Config.Options: want a JSON object, found %.20q", data)
	}
	var options []option
	for i, name := range all.names {
		if value := all.items[i]; value.leaf != goja.Null() {
			options = append(options, option{name, value})
		}
	}
	slices.SortFunc(options, func(a, b option) int { return strings.Compare(a.name, b.name) })
	return options, nil
}

// overwriteOptions puts the consolidated options into the exported object.
func (vu *VU) overwriteOptions() error {
	s := vu.cfg.shared
	if s.optionsErr != nil {
		return s.optionsErr
	}
	if len(s.options) == 0 {
		return nil
	}
	obj, ok := vu.own(vu.exports, "options").(*goja.Object)
	if !ok {
		return nil
	}
	for _, o := range s.options {
		if err := obj.Set(o.name, o.value.value(vu.rt)); err != nil {
			return fmt.Errorf("js: option %s cannot be written into the script's options: %w", o.name, err)
		}
	}
	return nil
}
