package http

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/dop251/goja"

	"hive/engine/js"
	"hive/engine/modules/html"
)

// html is response.html(selector?): a Selection of the document, or of what the selector finds in it.
func (r *response) html(args goja.FunctionCall) goja.Value {
	text, ok := r.content()
	if !ok {
		r.state.throw(r.noContent("HTML"))
	}
	doc := html.Parse(r.state.vu, text, r.Get("url").String())
	if len(args.Arguments) == 0 {
		return doc
	}
	return html.Find(doc, args.Argument(0).String())
}

// document parses the body as HTML.
func (r *response) document() *goquery.Document {
	text, ok := r.content()
	if !ok {
		r.state.throw(r.noContent("HTML"))
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(text))
	if err != nil {
		r.state.throw(fmt.Errorf("parse the body as HTML: %w", err))
	}
	return doc
}

// clickLink is response.clickLink({selector, params}): a GET of what a link refers to.
func (r *response) clickLink(args goja.FunctionCall) goja.Value {
	s := r.state
	s.vu.NotIn("clickLink()", js.StageInit)
	options := optionsOf(args.Argument(0))
	selector := options.text("selector", "a[href]")
	link := r.document().Find(selector)
	if link.Length() == 0 {
		s.throw(fmt.Errorf("no element found for selector %q in the response of %s", selector, r.Get("url")))
	}
	href, ok := link.First().Attr("href")
	if !ok {
		s.throw(fmt.Errorf("the element found for selector %q in the response of %s has no href", selector, r.Get("url")))
	}
	return s.request("GET", s.rt.ToValue(r.resolve(href)), goja.Undefined(), options.value("params"))
}

// resolve gives the URL of a reference in the response.
func (r *response) resolve(ref string) string {
	base, err := url.Parse(r.Get("url").String())
	if err != nil {
		r.state.throw(err)
	}
	u, err := base.Parse(ref)
	if err != nil {
		r.state.throw(err)
	}
	return u.String()
}

// submitForm is response.submitForm({formSelector, submitSelector, fields, params}).
func (r *response) submitForm(args goja.FunctionCall) goja.Value {
	s := r.state
	s.vu.NotIn("submitForm()", js.StageInit)
	options := optionsOf(args.Argument(0))
	selector := options.text("formSelector", "form")
	form := r.document().Find(selector)
	if form.Length() == 0 {
		s.throw(fmt.Errorf("no form found for selector %q in the response of %s", selector, r.Get("url")))
	}
	form = form.First()
	fields, err := r.formFields(form, options)
	if err != nil {
		s.throw(err)
	}
	method := strings.ToUpper(strings.TrimSpace(form.AttrOr("method", "GET")))
	action := r.resolve(form.AttrOr("action", ""))
	if method == "GET" || method == "" {
		return s.request("GET", s.rt.ToValue(withQuery(action, fields)), goja.Undefined(), options.value("params"))
	}
	return s.request(method, s.rt.ToValue(action), fields.object(s), options.value("params"))
}

// withQuery replaces the query of a URL by fields, if there are any.
func withQuery(action string, fields formValues) string {
	if len(fields) == 0 {
		return action
	}
	action, _, _ = strings.Cut(action, "#")
	action, _, _ = strings.Cut(action, "?")
	list := make([]formField, 0, len(fields))
	for name, v := range fields {
		list = append(list, formField{name, v})
	}
	return action + "?" + string(appendForm(nil, list))
}

// formValues are the fields of a form by their names.
type formValues map[string]goja.Value

func (f formValues) object(s *State) goja.Value {
	obj := s.rt.NewObject()
	for _, key := range slices.Sorted(maps.Keys(f)) {
		s.put(obj, key, f[key])
	}
	return obj
}

// formFields collects what a browser would send, and what the script wants instead.
func (r *response) formFields(form *goquery.Selection, options formOptions) (formValues, error) {
	rt := r.state.rt
	fields := make(formValues)
	form.Find("input,select,textarea").Each(func(_ int, e *goquery.Selection) {
		if name, ok := e.Attr("name"); ok && name != "" && isSubmitted(e) {
			fields[name] = rt.ToValue(controlValue(e))
		}
	})
	button := form.Find(options.text("submitSelector", `[type="submit"]`)).First()
	if name, ok := button.Attr("name"); ok && name != "" {
		fields[name] = rt.ToValue(button.AttrOr("value", ""))
	}
	err := r.state.each(options.value("fields"), func(key string, v goja.Value) error {
		fields[key] = v
		return nil
	})
	return fields, err
}

// isSubmitted tells whether a control sends its value.
func isSubmitted(e *goquery.Selection) bool {
	switch strings.ToLower(e.AttrOr("type", "")) {
	case "checkbox", "radio":
		_, checked := e.Attr("checked")
		return checked
	case "submit", "button", "image", "reset", "file":
		return false
	}
	return true
}

// controlValue is the value of a control; that of a list is all that is selected, with commas between.
func controlValue(e *goquery.Selection) string {
	switch goquery.NodeName(e) {
	case "textarea":
		return e.Text()
	case "select":
		return strings.Join(e.Find("option[selected]").Map(func(_ int, o *goquery.Selection) string {
			return o.AttrOr("value", o.Text())
		}), ",")
	}
	switch strings.ToLower(e.AttrOr("type", "")) {
	case "checkbox", "radio":
		return e.AttrOr("value", "on")
	}
	return e.AttrOr("value", "")
}

// formOptions is the argument of submitForm and clickLink; its object is nil when there is none.
type formOptions struct{ obj *goja.Object }

func optionsOf(v goja.Value) formOptions {
	obj, _ := v.(*goja.Object)
	return formOptions{obj}
}

func (o formOptions) value(name string) goja.Value {
	if o.obj == nil {
		return goja.Undefined()
	}
	return or(o.obj.Get(name), goja.Undefined())
}

func (o formOptions) text(name, otherwise string) string {
	v := o.value(name)
	if goja.IsUndefined(v) || goja.IsNull(v) {
		return otherwise
	}
	return v.String()
}
