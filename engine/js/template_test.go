package js

import (
	"testing"

	"github.com/dop251/goja"
)

func TestTemplate(t *testing.T) {
	for _, text := range []string{
		`null`, `true`, `"a \u00e9\u2028"`, `0`, `-1.5`, `1e+300`, `9007199254740993`, `[]`, `{}`, `[1,[2,{"b":null}],"x"]`,
		`{"z":1,"a":{"__proto__":[false]},"10":2}`,
	} {
		made, err := parseTemplate([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		rt := goja.New()
		rt.Set("made", made.value(rt))
		got, err := rt.RunString(`JSON.stringify(made)`)
		if err != nil {
			t.Fatal(err)
		}
		rt.Set("text", text)
		want, err := rt.RunString(`JSON.stringify(JSON.parse(text))`)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("%s: made %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{``, `{`, `[1`, `{"a"}`, `1 2`, `1e999`} {
		if _, err := parseTemplate([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
