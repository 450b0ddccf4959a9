package http

import "github.com/dop251/goja"

// properties are a few named values of an object. A script touches one or two of a response, for which a map would be
// large.
type properties []property

type property struct {
	name  string
	value goja.Value
}

// get returns a value, nil if there is none of that name.
func (p properties) get(name string) goja.Value {
	for i := range p {
		if p[i].name == name {
			return p[i].value
		}
	}
	return nil
}

func (p *properties) set(name string, v goja.Value) {
	for i := range *p {
		if (*p)[i].name == name {
			(*p)[i].value = v
			return
		}
	}
	*p = append(*p, property{name, v})
}
