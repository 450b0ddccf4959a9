package html

import "slices"

// cell are the methods of td and th.
func cell() []member {
	return slices.Concat(numbers(1, "colSpan rowSpan"), texts("headers"), of(calc("cellIndex", func(e *element) any {
		return position(e, []string{"td", "th"}, "tr")
	})))
}

// child is the first child of that tag.
func child(name, tag string) member {
	return calc(name, func(e *element) any {
		for n := range e.node.ChildNodes() {
			if is(n, tag) {
				return n
			}
		}
		return nil
	})
}

// position is where an element is among those with the tags in the nearest of some containers; 0 outside of any.
func position(e *element, tags []string, containers ...string) int {
	in := closest(e.node, containers...)
	if in == nil {
		return 0
	}
	return slices.Index(all(in, tags...), e.node)
}
