package html

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// formElements are the tags of what a form lists.
var formElements = []string{"input", "select", "textarea", "button", "fieldset"}

// owner is the form that an element is in or else names; nil when there is none.
func owner(e *element) any {
	if form := closest(e.node, "form"); form != nil {
		return form
	}
	return e.page.byID(attrOr(e.node, "form", ""))
}

// labels lists the label that a control is in and those that name it.
func labels(e *element) any {
	var found []*html.Node
	if label := closest(e.node, "label"); label != nil {
		found = append(found, label)
	}
	id := attrOr(e.node, "id", "")
	if id == "" {
		return found
	}
	for _, label := range all(e.page.root(), "label") {
		if attrOr(label, "for", "") == id && !slices.Contains(found, label) {
			found = append(found, label)
		}
	}
	return found
}

// submitter are the methods of controls that may send a form in their own way.
func submitter() []member {
	return []member{
		calc("formAction", func(e *element) any {
			ref, _ := e.orForm("formaction", "action")
			return e.page.resolve(ref)
		}),
		calc("formEnctype", func(e *element) any {
			v, _ := e.orForm("formenctype", "enctype")
			if slices.Contains(strings.Fields(encodings), v) {
				return v
			}
			return formEncoding
		}),
		calc("formMethod", func(e *element) any {
			if v, _ := e.orForm("formmethod", "method"); strings.EqualFold(v, "post") {
				return "post"
			}
			return "get"
		}),
		calc("formNoValidate", func(e *element) any {
			_, ok := e.orForm("formnovalidate", "novalidate")
			return ok
		}),
		calc("formTarget", func(e *element) any {
			v, _ := e.orForm("formtarget", "target")
			return v
		}),
	}
}

// orForm reads an attribute of a control or else the one of its form.
func (e *element) orForm(own, forms string) (string, bool) {
	if v, ok := attr(e.node, own); ok {
		return v, true
	}
	if form, _ := owner(e).(*html.Node); form != nil {
		return attr(form, forms)
	}
	return "", false
}

func dataList(e *element) any {
	if n := e.page.byID(attrOr(e.node, "list", "")); n != nil && is(n, "datalist") {
		return n
	}
	return nil
}

// optionForm is the form that an option is in, or the one of its select.
func optionForm(e *element) any {
	if form := closest(e.node, "form"); form != nil {
		return form
	}
	if parent := closest(e.node, "select"); parent != nil {
		return owner(&element{e.page, parent})
	}
	return nil
}

func optionDisabled(e *element) any {
	group := closest(e.node, "optgroup")
	return has(e.node, "disabled") || group != nil && has(group, "disabled")
}

func optionIndex(e *element) any { return position(e, []string{"option"}, "select", "datalist") }

func optionLabel(e *element) any {
	if v, ok := attr(e.node, "label"); ok {
		return v
	}
	return e.text()
}

// selectedIndex is the position of the first option that is marked as selected; -1 when none is.
func selectedIndex(e *element) any {
	return slices.IndexFunc(all(e.node, "option"), func(n *html.Node) bool { return has(n, "selected") })
}

// amount reads a number that is not negative.
func amount(e *element, attribute string) (float64, bool) {
	v, err := strconv.ParseFloat(attrOr(e.node, attribute, ""), 64)
	return v, err == nil && v >= 0
}

func progressMax(e *element) float64 {
	if v, ok := amount(e, "max"); ok {
		return v
	}
	return 1
}

// progressValue is how much of the maximum is done.
func progressValue(e *element) any {
	v, ok := amount(e, "value")
	if !ok {
		return 0
	}
	return v / progressMax(e)
}

// progressPosition is the same, or -1 when that is not known.
func progressPosition(e *element) any {
	if _, ok := amount(e, "value"); !ok {
		return -1
	}
	return progressValue(e)
}

// mapImages lists the images that use a map.
func mapImages(e *element) any {
	var images []*html.Node
	id, ok := attr(e.node, "id")
	for _, img := range all(e.page.root(), "img") {
		if ok && attrOr(img, "usemap", "") == "#"+id {
			images = append(images, img)
		}
	}
	return images
}
