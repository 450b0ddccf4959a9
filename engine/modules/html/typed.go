package html

import (
	"slices"
	"strings"

	"hive/engine/js"
)

// The values of attributes that several elements have.
const (
	referrerPolicies = "no-referrer no-referrer-when-downgrade origin origin-when-cross-origin unsafe-url"
	crossOrigins     = "anonymous use-credentials"
	formEncoding     = "application/x-www-form-urlencoded"
	encodings        = formEncoding + " multipart/form-data text/plain"
	inputTypes       = `button checkbox color date datetime-local email file hidden image month number password radio
		range reset search submit tel text time url week`
)

// typedMembers are the methods that Elements of some tags have besides those that all have.
var typedMembers = byTag(
	tagged("a area", texts("accessKey download hrefLang rel target type"), links("href"), urlParts(), of(
		choice("referrerPolicy", "referrerpolicy", "", referrerPolicies),
		calc("relList", (*element).relList), calc("text", textContent))),
	tagged("audio video", flags("autoplay controls loop muted"), texts("mediaGroup"), links("src"), of(
		flag("defaultMuted", "muted"), text("currentSrc", "src"),
		choice("crossOrigin", "crossorigin", nil, crossOrigins),
		choice("preload", "preload", "auto", "none metadata auto"), list("textTracks", "track"))),
	tagged("base", links("href"), texts("target")),
	tagged("button", texts("accessKey name"), flags("autofocus disabled"), numbers(0, "tabIndex"), submitter(), of(
		calc("value", givenValue),
		choice("type", "type", "submit", "submit button menu reset"),
		calc("form", owner), calc("labels", labels))),
	tagged("canvas", numbers(150, "height width")),
	tagged("col", of(calc("span", func(e *element) any { return max(1, number(e, "span", 1)) }))),
	tagged("data", texts("value")),
	tagged("datalist", of(list("options", "option"))),
	tagged("del ins", texts("cite datetime")),
	tagged("embed", texts("height src type width")),
	tagged("fieldset", texts("name"), flags("disabled"), of(
		calc("form", owner), constant("type", "fieldset"), constant("validity", nil),
		list("elements", "input", "select", "textarea", "button"))),
	tagged("form", texts("name target"), flags("noValidate"), links("action"), of(
		text("acceptCharset", "accept-charset"),
		choice("autocomplete", "autocomplete", "on", "on off"),
		choice("encoding", "enctype", formEncoding, encodings), choice("enctype", "enctype", formEncoding, encodings),
		choice("method", "method", "get", "get post"),
		list("elements", formElements...),
		calc("length", func(e *element) any { return len(all(e.node, formElements...)) }))),
	tagged("iframe", flags("allowfullscreen"), texts("height name width"), links("src"), of(
		choice("referrerPolicy", "referrerpolicy", "", referrerPolicies))),
	tagged("img", texts("alt name sizes srcset useMap"), numbers(0, "height width"), flags("isMap"), links("src"), of(
		link("currentSrc", "src"),
		choice("crossOrigin", "crossorigin", nil, crossOrigins),
		choice("referrerPolicy", "referrerpolicy", "", referrerPolicies))),
	tagged("input", texts(`accept accessKey alt dirName height max min name pattern placeholder step value width`),
		flags("autofocus checked disabled multiple readonly required"), numbers(0, "size tabIndex"),
		numbers(-1, "maxLength"), links("src"), submitter(), of(
			text("defaultValue", "value"), flag("defaultChecked", "checked"),
			choice("autocomplete", "autocomplete", "on", "on off"),
			choice("type", "type", "text", inputTypes),
			calc("form", owner), calc("labels", labels), calc("list", dataList))),
	tagged("keygen", flags("autofocus disabled"), texts("challenge name"), of(
		choice("keytype", "keytype", "RSA", "RSA DSA EC"), constant("type", "keygen"),
		calc("form", owner), calc("labels", labels))),
	tagged("label", of(
		text("htmlFor", "for"), calc("form", owner),
		calc("control", func(e *element) any { return e.page.byID(attrOr(e.node, "for", "")) }))),
	tagged("legend", texts("accessKey"), of(calc("form", func(e *element) any { return closest(e.node, "form") }))),
	tagged("li", numbers(0, "value"), of(choice("type", "type", "", "1 a A i I disc square circle"))),
	tagged("link", texts("hreflang media rel target type"), links("href"), of(
		choice("crossOrigin", "crossorigin", nil, crossOrigins),
		choice("referrerPolicy", "referrerpolicy", "", referrerPolicies), calc("relList", (*element).relList))),
	tagged("map", texts("name"), of(list("areas", "area"), calc("images", mapImages))),
	tagged("meta", texts("content name"), of(
		choice("httpEquiv", "http-equiv", "content-type", "content-type default-style refresh"))),
	tagged("meter", numbers(0, "high low max min optimum"), of(calc("labels", labels))),
	tagged("object", texts("height name type useMap width"), flags("typeMustMatch"), numbers(0, "tabIndex"), links("data"), of(
		calc("form", owner))),
	tagged("ol", flags("reversed"), numbers(0, "start"), of(choice("type", "type", "1", "1 a A i I"))),
	tagged("optgroup", flags("disabled"), texts("label")),
	tagged("option", flags("selected"), of(
		flag("defaultSelected", "selected"), calc("text", textContent), calc("form", optionForm),
		calc("disabled", optionDisabled), calc("index", optionIndex), calc("label", optionLabel),
		calc("value", givenValue))),
	tagged("output", texts("name"), of(
		text("htmlFor", "for"), constant("type", "output"), calc("form", owner), calc("labels", labels),
		calc("value", textContent), calc("defaultValue", textContent))),
	tagged("param pre", texts("name value")),
	tagged("progress", of(
		calc("max", func(e *element) any { return progressMax(e) }), calc("value", progressValue),
		calc("position", progressPosition), calc("labels", labels))),
	tagged("script", flags("async defer noModule"), texts("charset crossOrigin type"), links("src"), of(
		calc("text", textContent))),
	tagged("select", flags("autofocus disabled multiple required"), texts("name"), numbers(0, "tabIndex"), of(
		list("options", "option"), calc("length", func(e *element) any { return len(all(e.node, "option")) }),
		calc("selectedOptions", func(e *element) any { return selectedOptions(e.node) }),
		calc("selectedIndex", selectedIndex), calc("value", func(e *element) any { return e.page.firstValue(selectedOptions(e.node)) }),
		calc("size", func(e *element) any { return either(e, "multiple", 4, 1) }),
		calc("type", func(e *element) any { return either(e, "multiple", "select-multiple", "select") }),
		calc("form", owner), calc("labels", labels))),
	tagged("source", texts("keySystem media sizes srcset type"), links("src")),
	tagged("style", texts("media"), of(calc("type", func(e *element) any {
		if kind := attrOr(e.node, "type", ""); kind != "" {
			return kind
		}
		return "text/css"
	}))),
	tagged("table", flags("sortable"), of(
		child("caption", "caption"), child("tHead", "thead"), child("tFoot", "tfoot"),
		list("rows", "tr"), list("tBodies", "tbody"))),
	tagged("tbody tfoot thead", of(list("rows", "tr"))),
	tagged("td", cell()),
	tagged("th", cell(), texts("abbr"), flags("sorted"), of(choice("scope", "scope", "", "row col colgroup rowgroup"))),
	tagged("textarea", texts("accessKey placeholder value"), flags("readOnly required"),
		numbers(0, "cols maxLength rows tabIndex"), of(
			text("defaultValue", "value"), constant("type", "textarea"),
			calc("length", func(e *element) any { return len(attrOr(e.node, "value", "")) }),
			choice("autocapitalize", "autocapitalize", "sentences", "none off characters words sentences"),
			choice("autocomplete", "autocomplete", "on", "on off"), choice("wrap", "wrap", "soft", "soft hard off"),
			calc("form", owner), calc("labels", labels))),
	tagged("time", texts("datetime")),
	tagged("title", of(calc("text", textContent))),
	tagged("tr", of(list("cells", "td", "th"),
		calc("rowIndex", func(e *element) any { return position(e, []string{"tr"}, "table") }),
		calc("sectionRowIndex", func(e *element) any { return position(e, []string{"tr"}, "thead", "tbody", "tfoot") }))),
	tagged("track", flags("default"), texts("label srclang"), links("src"), of(
		choice("kind", "kind", "subtitle", "subtitle captions descriptions chapters metadata"))),
	tagged("ul", texts("type")),
)

// kind is what the elements of some tags have.
type kind struct {
	tags    string
	members []member
}

func tagged(tags string, members ...[]member) kind { return kind{tags, slices.Concat(members...)} }

func of(members ...member) []member { return members }

func byTag(kinds ...kind) map[string]*js.Table[*realm] {
	tables := make(map[string]*js.Table[*realm])
	for _, k := range kinds {
		table := js.NewTable(k.members...)
		for _, tag := range strings.Fields(k.tags) {
			tables[tag] = table
		}
	}
	return tables
}

func textContent(e *element) any { return e.text() }
func givenValue(e *element) any  { return e.page.given(e.node) }

func either[T any](e *element, attribute string, with, without T) T {
	if has(e.node, attribute) {
		return with
	}
	return without
}

// relList gives the words of rel, as many as there are spaces and one more.
func (e *element) relList() any {
	rel := attrOr(e.node, "rel", "")
	if rel == "" {
		return []string{}
	}
	return strings.Split(rel, " ")
}
