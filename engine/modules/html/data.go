package html

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// data is data(key?): the value of a data-* attribute of the first node, or an object of all of them.
func (s *selected) data(call goja.FunctionCall) any {
	n := s.first()
	if n == nil {
		return nil
	}
	rt := s.page.realm.rt
	if len(call.Arguments) > 0 {
		return coerce(rt, attrOr(n, "data-"+dashed(call.Argument(0).String()), ""))
	}
	obj := rt.NewObject()
	for _, a := range n.Attr {
		if key, ok := strings.CutPrefix(a.Key, "data-"); ok && key != "" {
			put(obj, camel(key), coerce(rt, a.Val))
		}
	}
	return obj
}

// coerce reads text as the JSON that it looks like. A number has to be written as it would be printed.
func coerce(rt *goja.Runtime, text string) goja.Value {
	switch text {
	case "", "null", "undefined":
		return goja.Undefined()
	case "true", "false":
		return rt.ToValue(text == "true")
	}
	if text[0] == '{' || text[0] == '[' {
		if v, err := js.ParseJSON(rt, text); err == nil {
			return v
		}
		return rt.ToValue(text)
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && strconv.FormatFloat(n, 'f', -1, 64) == text {
		return rt.ToValue(n)
	}
	return rt.ToValue(text)
}

// initialisms are the words that keep their capitals in a key: data-user-id is userID.
var initialisms = strings.Fields(`ACL API ASCII CPU CSS DNS EOF GUID HTML HTTP HTTPS ID IP JSON LHS OAuth OS QPS RAM
	RHS RPC SLA SMTP SQL SSH TCP TLS TTL UDP UI UID URI URL UTF8 UUID VM XML XMPP XSRF XSS`)

// camel makes a key of the name of an attribute: my-api-key is myAPIKey.
func camel(name string) string {
	words := strings.Split(name, "-")
	for i, word := range words[1:] {
		words[i+1] = capital(word)
	}
	return strings.Join(words, "")
}

func capital(word string) string {
	if i := slices.IndexFunc(initialisms, func(s string) bool { return strings.ToLower(s) == word }); i >= 0 {
		return initialisms[i]
	}
	first, size := utf8.DecodeRuneInString(word)
	if size == 0 {
		return word
	}
	return string(unicode.ToUpper(first)) + word[size:]
}

// dashed makes the name of an attribute of a key: both myAPIKey and myApiKey are my-api-key.
func dashed(key string) string {
	var b strings.Builder
	for i := 0; i < len(key); {
		size := capitals(key[i:])
		if size > 0 && i > 0 && key[i-1] != '-' {
			b.WriteByte('-')
		}
		if size == 0 {
			b.WriteByte(key[i])
			i++
			continue
		}
		b.WriteString(strings.ToLower(key[i : i+size]))
		i += size
		if size > 1 && i < len(key) && capitals(key[i:]) == 0 && key[i] != '-' {
			b.WriteByte('-')
		}
	}
	return strings.ReplaceAll(b.String(), "_", "-")
}

// capitals is how much of a key's beginning is an initialism, 1 when it is just a capital letter.
func capitals(key string) int {
	size := 0
	if 'A' <= key[0] && key[0] <= 'Z' {
		size = 1
	}
	for _, s := range initialisms {
		if len(s) > size && strings.HasPrefix(key, s) {
			size = len(s)
		}
	}
	return size
}
