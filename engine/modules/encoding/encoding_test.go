package encoding

import (
	"strings"
	"testing"

	"hive/engine/js"
	"hive/engine/metric"
)

// eval runs a script body whose value of `exports.r` is the result.
func eval(t *testing.T, script string) (any, error) {
	t.Helper()
	program, err := js.Compile("file:///s.js", []byte(script), nil)
	if err != nil {
		t.Fatal(err)
	}
	config := &js.Config{Program: program, Modules: []js.Module{New()}, Registry: metric.NewRegistry()}
	vu, err := js.NewVU(t.Context(), config, js.VUID{}, nil)
	if err != nil {
		return nil, err
	}
	defer vu.Close()
	return vu.Export("r").Export(), nil
}

func TestEncoding(t *testing.T) {
	tests := []struct{ what, expr, want string }{
		{"standard", `e.b64encode("hello?>")`, "aGVsbG8/Pg=="},
		{"rawstd", `e.b64encode("hello?>", "rawstd")`, "aGVsbG8/Pg"},
		{"url", `e.b64encode("hello?>>", "url")`, "aGVsbG8_Pj4="},
		{"rawurl", `e.b64encode("hello?>", "rawurl")`, "aGVsbG8_Pg"},
		{"an unknown alphabet is the standard one", `e.b64encode("hello?>", "x")`, "aGVsbG8/Pg=="},
		{"a buffer, and a view of one", `e.b64encode(new Uint8Array([1, 2, 3]).buffer) + e.b64encode(new Uint8Array([1, 2, 3]).subarray(1))`, "AQIDAgM="},
		{"decodes to an ArrayBuffer", `(b => b.constructor.name + new Uint8Array(b).join())(e.b64decode("aGk="))`, "ArrayBuffer104,105"},
		{"or to a string", `e.b64decode("aGVsbG8=", "std", "s")`, "hello"},
		{"with the alphabet left out", `e.b64decode("aGVsbG8=", undefined, "s")`, "hello"},
		{"without padding", `e.b64decode("aGVsbG8", "rawstd", "s")`, "hello"},
		{"from the URL alphabet", `e.b64decode("aGVsbG8_Pj4=", "url", "s")`, "hello?>>"},
		{"line ends are skipped", `e.b64decode("aGVs\nbG8=", "std", "s")`, "hello"},
		{"what is not UTF-8", `e.b64decode("/w==", "std", "s").charCodeAt(0).toString()`, "65533"},
		{"nothing", `e.b64decode().byteLength + "" + e.b64encode("")`, "0"},
		{"the exports", `Object.keys(e).join()`, "b64decode,b64encode"},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			got, err := eval(t, `const e = require("k6/encoding"); exports.r = `+test.expr)
			if err != nil || got != test.want {
				t.Errorf("got %v, %v; want %s", got, err, test.want)
			}
		})
	}
}

func TestEncodingErrors(t *testing.T) {
	for expr, want := range map[string]string{
		`e.b64encode(5)`:                    "b64encode: the data are int64: want a string or an ArrayBuffer",
		`e.b64encode()`:                     "b64encode: the data are missing",
		`e.b64decode("a!=")`:                "b64decode: illegal base64 data at input byte 1",
		`e.b64decode("aGVsbG8=", "rawstd")`: "b64decode: illegal base64 data at input byte 7",
	} {
		got, err := eval(t, `const e = require("k6/encoding"); try { `+expr+`; exports.r = "nothing" } catch (x) { exports.r = x.name + ": " + x.message }`)
		if s, _ := got.(string); err != nil || !strings.HasPrefix(s, "GoError: "+want) {
			t.Errorf("%s: got %v, %v; want %s", expr, got, err, want)
		}
	}
}
