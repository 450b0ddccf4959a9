package js

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/dop251/goja"
)

// template is a JSON value that was parsed once, to be made in many runtimes. These share its strings.
type template struct {
	kind  templateKind
	leaf  goja.Value // of a leafTemplate; immutable and free of any runtime
	names []string   // of an objectTemplate, in order
	items []*template
	plain any // of a scalarTemplate: bool, int64 or float64
}

type templateKind uint8

const (
	leafTemplate templateKind = iota
	scalarTemplate
	objectTemplate
	arrayTemplate
)

// parseTemplate reads one JSON value.
func parseTemplate(data []byte) (*template, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	t, err := nextTemplate(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one JSON value in %.40q", data)
	}
	return t, nil
}

func nextTemplate(d *json.Decoder) (*template, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch x := token.(type) {
	case string:
		return &template{leaf: text(x)}, nil
	case json.Number:
		return numberOf(x)
	case bool:
		return &template{kind: scalarTemplate, plain: x}, nil
	case json.Delim:
		return compoundTemplate(d, x)
	}
	return &template{leaf: goja.Null()}, nil
}

func numberOf(x json.Number) (*template, error) {
	if n, err := x.Int64(); err == nil && x != "-0" {
		return &template{kind: scalarTemplate, plain: n}, nil
	}
	f, err := strconv.ParseFloat(x.String(), 64)
	if err != nil {
		return nil, fmt.Errorf("number %s: %w", x, err)
	}
	return &template{kind: scalarTemplate, plain: f}, nil
}

// compoundTemplate reads on behind an opening bracket or brace.
func compoundTemplate(d *json.Decoder, opening json.Delim) (*template, error) {
	t := &template{kind: arrayTemplate}
	if opening == '{' {
		t.kind = objectTemplate
	}
	for d.More() {
		if t.kind == objectTemplate {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			t.names = append(t.names, name.(string)) // the decoder takes nothing else for a name
		}
		item, err := nextTemplate(d)
		if err != nil {
			return nil, err
		}
		t.items = append(t.items, item)
	}
	_, err := d.Token()
	return t, err
}

// value makes the value in a runtime.
func (t *template) value(rt *goja.Runtime) goja.Value {
	switch t.kind {
	case scalarTemplate:
		return rt.ToValue(t.plain)
	case objectTemplate:
		obj := rt.NewObject()
		for i, name := range t.names {
			// Fails only for objects that are not extensible.
			_ = obj.DefineDataProperty(name, t.items[i].value(rt), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
		}
		return obj
	case arrayTemplate:
		items := make([]any, len(t.items))
		for i, item := range t.items {
			items[i] = item.value(rt)
		}
		return rt.NewArray(items...)
	}
	return t.leaf
}
