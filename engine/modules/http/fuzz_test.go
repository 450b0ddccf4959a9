package http

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
)

// FuzzJSON has bodies read as JSON: what encoding/json takes for JSON becomes a value that can be shown, the rest is an
// error that a script can catch.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5,"x",null,true]}`, `{"__proto__":1}`, `-0`, `"\ud800"`, `[1,`, ``, `{"a":1e999}`, strings.Repeat("[", 20_000)} {
		f.Add(text, "a.1")
	}
	rt := goja.New()
	s := &State{rt: rt}
	f.Fuzz(func(t *testing.T, text, selector string) {
		r := &response{state: s, call: &call{outcome: outcome{resp: httpclient.Response{Status: 200, Body: []byte(text)}}}}
		var v goja.Value
		ex := rt.Try(func() { v = r.json(goja.FunctionCall{}) })
		if valid := json.Valid([]byte(text)); valid != (ex == nil) {
			t.Fatalf("%q is JSON: %v, but json() gives %v", text, valid, ex)
		}
		if ex == nil {
			if _, err := json.Marshal(v.String()); err != nil {
				t.Fatal(err)
			}
		}
		rt.Try(func() { r.json(goja.FunctionCall{Arguments: []goja.Value{rt.ToValue(selector)}}) })
	})
}

// FuzzCookie checks that no name or value can break out of the Cookie header.
func FuzzCookie(f *testing.F) {
	f.Add("a", "b c,d\"e;f\r\ng")
	f.Fuzz(func(t *testing.T, name, value string) {
		var b strings.Builder
		writeCookie(&b, name, value)
		_, sent, _ := strings.Cut(b.String(), "=")
		if strings.ContainsAny(b.String(), "\r\n") || strings.ContainsAny(strings.TrimPrefix(sent, name), ";\x00\\") && !strings.ContainsAny(name, ";=\x00\\") {
			t.Errorf("%q=%q is sent as %q", name, value, b.String())
		}
	})
}

func TestDeepJSON(t *testing.T) {
	for text, want := range map[string]bool{
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth):               false,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1):           true,
		`["` + strings.Repeat(`[\"`, maxDepth) + `"]`:                               false,
		strings.Repeat("[],", maxDepth):                                             false,
		strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1): true,
	} {
		if got := tooDeep(text); got != want {
			t.Errorf("%.20s…: got %v, want %v", text, got, want)
		}
	}
}
