package http

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dop251/goja"
	"github.com/tidwall/gjson"
)

// json is response.json(selector?). Without a selector a body that is not JSON is an exception, with one it has no
// such value.
func (r *response) json(args goja.FunctionCall) goja.Value {
	text, ok := r.content()
	if !ok {
		r.state.throw(r.noContent("JSON"))
	}
	if r.valid == unknown {
		r.valid = known(!tooDeep(text) && gjson.Valid(text))
	}
	if len(args.Arguments) == 0 {
		return r.parse(text)
	}
	if r.valid == no {
		return goja.Undefined()
	}
	found := gjson.Get(text, args.Argument(0).String())
	if !found.Exists() {
		return goja.Undefined()
	}
	return r.state.value(found)
}

func (r *response) parse(text string) goja.Value {
	if r.valid == no {
		r.state.throw(syntaxError(text))
	}
	if r.parsed == nil {
		r.parsed = r.state.value(gjson.Parse(text))
	}
	return r.parsed
}

// maxDepth bounds how deep JSON is nested, as encoding/json does: a server must not be able to exhaust the stack.
const maxDepth = 10_000

func tooDeep(text string) bool {
	if len(text) <= maxDepth {
		return false
	}
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

// noContent is the error for a body that cannot be read as what it is wanted as.
func (r *response) noContent(format string) error {
	if goja.IsNull(r.bodyValue()) || goja.IsUndefined(r.bodyValue()) {
		return fmt.Errorf("the body is null, so it cannot be read as %s: the request failed, or its responseType is \"none\"", format)
	}
	return fmt.Errorf("the body is %s, so it cannot be read as %s: it must be a string or an ArrayBuffer", r.bodyValue(), format)
}

// syntaxError says where a text stops being JSON.
func syntaxError(text string) error {
	var v json.RawMessage
	err := json.Unmarshal([]byte(text), &v)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return errors.New("cannot parse json: the text is not valid")
	}
	before := text[:min(int(syntax.Offset), len(text))]
	line := strings.Count(before, "\n") + 1
	column := len(before) - (strings.LastIndexByte(before, '\n') + 1)
	return fmt.Errorf("cannot parse json at line %d, character %d: %w", line, column, syntax)
}

// value makes a JS value of a JSON one.
func (s *State) value(v gjson.Result) goja.Value {
	switch v.Type {
	case gjson.Null:
		return goja.Null()
	case gjson.True, gjson.False:
		return s.rt.ToValue(v.Type == gjson.True)
	case gjson.Number:
		return s.rt.ToValue(v.Num)
	case gjson.String:
		return s.rt.ToValue(v.Str)
	}
	if v.IsArray() {
		var items []any
		v.ForEach(func(_, item gjson.Result) bool {
			items = append(items, s.value(item))
			return true
		})
		return s.rt.NewArray(items...)
	}
	obj := s.rt.NewObject()
	v.ForEach(func(key, item gjson.Result) bool {
		s.put(obj, key.String(), s.value(item))
		return true
	})
	return obj
}
