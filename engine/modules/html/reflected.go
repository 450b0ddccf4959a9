package html

import (
	"slices"
	"strconv"
	"strings"
)

// What follows makes methods that reflect an attribute. The attribute of a method is its name in lower case unless
// another one is given.

// each makes a method of every name.
func each(names string, kind func(name, attribute string) member) []member {
	var members []member
	for _, name := range strings.Fields(names) {
		members = append(members, kind(name, strings.ToLower(name)))
	}
	return members
}

// texts are strings, "" without the attribute.
func texts(names string) []member { return each(names, text) }

func text(name, attribute string) member {
	return calc(name, func(e *element) any { return attrOr(e.node, attribute, "") })
}

// flags tell whether the attribute is there.
func flags(names string) []member { return each(names, flag) }

func flag(name, attribute string) member {
	return calc(name, func(e *element) any { return has(e.node, attribute) })
}

// links are URLs, resolved against that of the document; "" without the attribute.
func links(names string) []member { return each(names, link) }

func link(name, attribute string) member {
	return calc(name, func(e *element) any { return e.link(attribute) })
}

func (e *element) link(attribute string) string {
	ref, ok := attr(e.node, attribute)
	if !ok {
		return ""
	}
	return e.page.resolve(ref)
}

// numbers are integers, otherwise when the attribute is none.
func numbers(otherwise int, names string) []member {
	return each(names, func(name, attribute string) member {
		return calc(name, func(e *element) any { return number(e, attribute, otherwise) })
	})
}

func number(e *element, attribute string, otherwise int) int {
	n, err := strconv.Atoi(attrOr(e.node, attribute, ""))
	if err != nil {
		return otherwise
	}
	return n
}

// choice is one of some values, compared with their case, or else otherwise.
func choice(name, attribute string, otherwise any, values string) member {
	known := strings.Fields(values)
	return calc(name, func(e *element) any {
		if v := attrOr(e.node, attribute, ""); slices.Contains(known, v) {
			return v
		}
		return otherwise
	})
}

// constant is the same for all elements of a type.
func constant(name string, v any) member {
	return calc(name, func(*element) any { return v })
}

// list is all elements below that have one of the tags.
func list(name string, tags ...string) member {
	return calc(name, func(e *element) any { return all(e.node, tags...) })
}
