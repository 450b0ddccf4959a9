package archive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

// hostModules is what the tests' host offers to scripts.
func hostModules() map[string][]string {
	return map[string][]string{
		"k6":         {"check", "sleep"},
		"k6/http":    {"get", "post"},
		"k6/metrics": {"Counter"},
	}
}

// write puts files into a new folder and gives its path.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func build(t testing.TB, in Input) *Bundle {
	t.Helper()
	if in.Builtins == nil {
		in.Builtins = hostModules()
	}
	b, err := Build(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs a bundle as a host does and gives what result(exports) is.
func run(t testing.TB, b *Bundle, result string) (any, error) {
	t.Helper()
	wrap := "(function(module, exports, require) {\n"
	if b.Async {
		wrap = "(async function(module, exports, require) {\n"
	}
	shifted := strings.Replace(string(b.Map), `"mappings":"`, `"mappings":";`, 1)
	program, err := goja.Parse(b.Name, wrap+string(b.Code)+"\n})\n//# sourceMappingURL=m",
		parser.WithSourceMapLoader(func(string) ([]byte, error) { return []byte(shifted), nil }))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := goja.CompileAST(program, false)
	if err != nil {
		t.Fatal(err)
	}
	rt := goja.New()
	body, err := rt.RunProgram(compiled)
	if err != nil {
		t.Fatal(err)
	}
	rt.Set("require", func(name string) *goja.Object {
		o := rt.NewObject()
		for _, member := range hostModules()[name] {
			o.Set(member, name+"."+member)
		}
		return o
	})
	module, exports := rt.NewObject(), rt.NewObject()
	module.Set("exports", exports)
	f, _ := goja.AssertFunction(body)
	got, err := f(goja.Undefined(), module, exports, rt.Get("require"))
	if err != nil {
		return nil, err
	}
	if p, ok := got.Export().(*goja.Promise); ok && p.State() != goja.PromiseStateFulfilled {
		t.Fatalf("the script's promise is not fulfilled: %v", p.Result())
	}
	rt.Set("exports", module.Get("exports"))
	v, err := rt.RunString(result)
	if err != nil {
		return nil, err
	}
	return v.Export(), nil
}

func TestBuildRuns(t *testing.T) {
	tests := []struct {
		what   string
		entry  string
		files  map[string]string
		result string
		want   any
	}{
		{
			what: "an ES module with a relative import, and names exported from the entry",
			files: map[string]string{
				"script.js":  `import { two } from "./lib/two.js"; export const options = { vus: two }; export default function () {}`,
				"lib/two.js": `export { two } from "../two.js"`,
				"two.js":     `export const two = 2`,
			},
			result: "exports.options.vus + typeof exports.default", want: "2function",
		},
		{
			what:   "the host's modules: default, named, all of it, and under another name",
			files:  map[string]string{"script.js": `import http, { get as g } from "k6/http"; import * as all from "k6/http"; import k6, { check } from "k6"; export const r = [g, http.post, all.get, all.default === http, check, k6.sleep, Object.keys(all).join()].join()`},
			result: "exports.r", want: "k6/http.get,k6/http.post,k6/http.get,true,k6.check,k6.sleep,default,get,post",
		},
		{
			what:   "require of the host's modules gives the object itself",
			files:  map[string]string{"script.js": `const http = require("k6/http"); exports.r = http.get + typeof http.default`},
			result: "exports.r", want: "k6/http.getundefined",
		},
		{
			what:   "a module of the host can be changed, for all who import it",
			files:  map[string]string{"script.js": `import http from "k6/http"; import "./patch.js"; export const r = http.get`, "patch.js": `import http from "k6/http"; http.get = "mine"`},
			result: "exports.r", want: "mine",
		},
		{
			what:   "CommonJS entry: exports.default and exports.options",
			files:  map[string]string{"script.js": `exports.options = { vus: 3 }; exports.default = function () { return this === undefined }`},
			result: "(0, exports.default)() + String(exports.options.vus)", want: "true3",
		},
		{
			what:   "CommonJS entry: module.exports",
			files:  map[string]string{"script.js": `module.exports = { default() { return 1 }, same: this === module.exports }`},
			result: "exports.default()", want: int64(1),
		},
		{
			what: "names imported from CommonJS; default is all of it unless __esModule says otherwise",
			files: map[string]string{
				"script.js": `import all, { a } from "./cjs.js"; import d, { b } from "./marked.js"; export const r = [a, all.a, d, b].join()`,
				"cjs.js":    `exports.a = 1`,
				"marked.js": `Object.defineProperty(exports, "__esModule", { value: true }); exports.default = "d"; exports.b = 2`,
			},
			result: "exports.r", want: "1,1,d,2",
		},
		{
			what: "require of an ES module, relative to the file that asks",
			files: map[string]string{
				"script.js":   `exports.r = require("./lib/a.js").r`,
				"lib/a.js":    `exports.r = require("./esm.js").default + require("../esm2.js").x`,
				"lib/esm.js":  `export default 4`,
				"esm2.js":     `export const x = 5`,
				"lib/esm2.js": `export const x = 500`,
			},
			result: "exports.r", want: int64(9),
		},
		{
			what: "a UMD library",
			files: map[string]string{
				"script.js": `import lib from "./umd.js"; export const r = lib.v`,
				"umd.js":    `(function (root, f) { if (typeof exports === "object" && typeof module !== "undefined") module.exports = f(); else root.lib = f() })(this, function () { return { v: 7 } })`,
			},
			result: "exports.r", want: int64(7),
		},
		{
			what:   "a require that fails does so when it is reached, each time, and can be caught",
			files:  map[string]string{"script.js": `function t() { try { require("crypto"); return "found" } catch (e) { return "none" } } exports.r = t() + t() + typeof (function () { require("./nowhere.js") })`},
			result: "exports.r", want: "nonenonefunction",
		},
		{
			what: "TypeScript by its extension, with types of a module that does not exist",
			files: map[string]string{
				"script.ts":  `import { Options } from "k6/options"; import { Colour, f } from "./types.ts"; export const options: Options = { vus: f(Colour.Red) }; export default () => {}`,
				"types.ts":   `export enum Colour { Red = 5 } export function f<T extends number>(x: T): number { return x as number }`,
				"script.js":  `x`,
				"ignored.js": `x`,
			},
			entry: "script.ts", result: "exports.options.vus", want: int64(5),
		},
		{
			what:   "JSON, imported and required",
			files:  map[string]string{"script.js": `import data from "./d.json"; export const r = data.list[1] + require("./d.json").list[0]`, "d.json": `{"list": [1, 20]}`},
			result: "exports.r", want: int64(21),
		},
		{
			what:   "exported names follow their variables",
			files:  map[string]string{"script.js": `export let count = 1; export const still = 10; export default function () { count++ }`},
			result: "exports.default(); exports.count + exports.still", want: int64(12),
		},
		{
			what:   "exported names follow variables that change unseen",
			files:  map[string]string{"script.js": `export let count = 1; export default (code) => eval(code)`},
			result: "exports.default('count = 5'); exports.count", want: int64(5),
		},
		{
			what:   "exported names of every kind",
			files:  map[string]string{"script.js": `export class C { static x = 1 } export { C as "any name", C as __proto__ }; export default class extends C {}`},
			result: "[Object.keys(exports), exports.C.x, exports['any name'].x, exports.default.x].join()", want: "C,__proto__,any name,default,1,1,1",
		},
		{
			what:   "nothing exported, beside names that CommonJS uses",
			files:  map[string]string{"script.js": `import http from "k6/http"; const module = 1, exports = 2; globalThis.sum = http.get + module + exports`},
			result: "sum", want: "k6/http.get12",
		},
		{
			what:   "names that CommonJS uses, in a module that imports the host's",
			files:  map[string]string{"script.js": `import http from "k6/http"; const module = 1, exports = 2, require = 3; export default http.get + module + exports + require`},
			result: "exports.default", want: "k6/http.get123",
		},
		{
			what: "a CommonJS script that requires an ES module that imports the host's",
			files: map[string]string{
				"script.js": `const { get } = require("./es.js"); module.exports = { r: get + await_, async default() { await 1 } }; var await_ = 1`,
				"es.js":     `import http from "k6/http"; export const get = http.get`,
			},
			result: "exports.r", want: "k6/http.getundefined",
		},
		{
			what: "top-level await, in an imported module too",
			files: map[string]string{
				"script.js": `import { get } from "k6/http"; import { v } from "./v.js"; const w = await Promise.resolve(1); export let count = v + w; export { get as "any name" }; export default function main() { count++ }`,
				"v.js":      `export const v = await (async () => 10)()`,
			},
			result: `exports.default(); exports.count + exports["any name"]`, want: "12k6/http.get",
		},
		{
			what:   "top-level await beside names that CommonJS uses",
			files:  map[string]string{"script.js": `const module = 1, exports = 2, require = await 3; export default module + exports + require`},
			result: "exports.default", want: int64(6),
		},
		{
			what:   "dynamic import",
			files:  map[string]string{"script.js": `import { get } from "k6/http"; const m = await import("./m.js"), h = await import("k6/http"); export const r = m.x + h.get`, "m.js": `export const x = "x"`},
			result: "exports.r", want: "xk6/http.get",
		},
		{
			what:   "what the engine lacks is lowered",
			files:  map[string]string{"script.js": `async function* g() { yield 1; yield 2 } let sum = 0; for await (const x of g()) sum += x; export const r = sum`},
			result: "exports.r", want: int64(3),
		},
		{
			what:   "all code is strict, CommonJS too",
			files:  map[string]string{"script.js": `try { undeclared = 1; exports.r = "sloppy" } catch (e) { exports.r = e.name }`},
			result: "exports.r", want: "ReferenceError",
		},
		{
			what:   "a path with blanks and signs",
			files:  map[string]string{"a b#?/s ü%20.js": `import x from "./x y%20.js"; export default x`, "a b#?/x y%20.js": `export default 1`},
			entry:  "a b#?/s ü%20.js",
			result: "exports.default", want: int64(1),
		},
		{
			what:   "modules that import each other",
			files:  map[string]string{"script.js": `import { b } from "./b.js"; export function a() { return "a" } export const r = b()`, "b.js": `import { a } from "./script.js"; export function b() { return a() + "b" }`},
			result: "exports.r", want: "ab",
		},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			entry := test.entry
			if entry == "" {
				entry = "script.js"
			}
			b := build(t, Input{Entry: entry, Dir: write(t, test.files)})
			got, err := run(t, b, test.result)
			if err != nil {
				t.Fatalf("%v\n%s", err, b.Code)
			}
			if got != test.want {
				t.Errorf("got %v, want %v\n%s", got, test.want, b.Code)
			}
		})
	}
}

func TestBuildEntries(t *testing.T) {
	dir := write(t, map[string]string{"s.js": `import "./lib/a.js"; export default 1`, "lib/a.js": ``})
	for _, entry := range []string{"s.js", "./s.js", "lib/../s.js", filepath.Join(dir, "s.js"), fileURL(filepath.Join(dir, "s.js"))} {
		b := build(t, Input{Entry: entry, Dir: dir})
		if want := "file://" + dir + "/s.js"; b.Name != want {
			t.Errorf("entry %q: name %s, want %s", entry, b.Name, want)
		}
		if want := "file://" + dir; b.Pwd != want {
			t.Errorf("entry %q: pwd %s, want %s", entry, b.Pwd, want)
		}
		if len(b.Sources) != 2 || b.Sources["file://"+dir+"/lib/a.js"] == nil {
			t.Errorf("entry %q: sources %v, want s.js and lib/a.js", entry, b.Sources)
		}
	}
}

func TestBuildStdin(t *testing.T) {
	dir := write(t, map[string]string{"a.js": `export const a = 1`})
	tests := map[string]struct{ source, want string }{
		"JavaScript":                {`import { a } from "./a.js"; export default "v" + a`, "v1"},
		"TypeScript after JS fails": {`import { a } from "./a.js"; const v: string = "t" + a; export default v`, "t1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := build(t, Input{Entry: Stdin, Source: []byte(test.source), Dir: dir})
			if got, err := run(t, b, "exports.default"); err != nil || got != test.want {
				t.Errorf("got %v, %v; want %s", got, err, test.want)
			}
			if b.Name != "file:///-" || string(b.Sources[b.Name]) != test.source || b.Pwd != "file://"+dir {
				t.Errorf("name %s, pwd %s, source %q", b.Name, b.Pwd, b.Sources[b.Name])
			}
		})
	}
	_, err := Build(t.Context(), Input{Entry: Stdin, Source: []byte("let x = ;")})
	if err == nil || !strings.Contains(err.Error(), "file:///-:1:9: Unexpected \";\"") {
		t.Errorf("broken script: %v", err)
	}
}

func TestBuildErrors(t *testing.T) {
	tests := []struct {
		what  string
		files map[string]string
		want  []string // parts of the error; DIR stands for the folder's URL
	}{
		{"a script that is not there", nil, []string{"cannot read the script", "script.js: no such file"}},
		{"a syntax error: place, line and caret", map[string]string{"script.js": "let a = 1;\n\tlet b = a +* 2;\n"},
			[]string{"DIR/script.js:2:13: Unexpected \"*\"\n    \tlet b = a +* 2;\n    \t           ^"}},
		{"a syntax error in an import", map[string]string{"script.js": `import "./a.js"`, "a.js": "\nreturn }"},
			[]string{"DIR/a.js:2:8: Unexpected \"}\""}},
		{"a column counts characters", map[string]string{"script.js": `"ü€😀"; let = =`}, []string{"DIR/script.js:1:14: "}},
		{"a file that is missing", map[string]string{"script.js": "\nimport x from './nope.js'"},
			[]string{"DIR/script.js:2:15: cannot import \"./nope.js\": there is no file ", "/nope.js (names are exact", "\n    import x from './nope.js'\n                  ^^^^^^^^^^^"}},
		{"no extension is guessed", map[string]string{"script.js": `import "./a"`, "a.js": ""}, []string{`cannot import "./a"`, "names are exact"}},
		{"a folder", map[string]string{"script.js": `import "./lib"`, "lib/index.js": ""}, []string{"/lib is a directory, not a file"}},
		{"a package name", map[string]string{"script.js": `import _ from "lodash"`}, []string{"DIR/script.js:1:15", `"lodash" is not a module that can be found`, "./lodash"}},
		{"plain http", map[string]string{"script.js": `import _ from "http://example.com/x.js"`}, []string{"only https and file are known, not http"}},
		{"a k6 module that is unknown: says which there are", map[string]string{"script.js": `import _ from "k6/nope"`}, []string{`there is no module "k6/nope"; the modules are k6, k6/http, k6/metrics`}},
		{"an extension", map[string]string{"script.js": `import _ from "k6/x/kafka"`}, []string{`extensions cannot be loaded`, `"k6/x/kafka"`}},
		{"a k6 module that was renamed", map[string]string{"script.js": `import _ from "k6/experimental/grpc"`}, []string{`use k6/net/grpc`}},
		{"a script in another encoding", map[string]string{"script.js": "const a = 1;\nconst b = \"caf\xe9\";"}, []string{"DIR/script.js:2:15", "not UTF-8"}},
		{"a name that a file does not have", map[string]string{"script.js": `import { b } from "./a.js"; b()`, "a.js": "export const a = 1"}, []string{"DIR/script.js:1:10: DIR/a.js does not export \"b\""}},
		{"several faults are told together", map[string]string{"script.js": "import './a.js'\nimport './b.js'"}, []string{"a.js", "b.js"}},
		{"JSON that is not", map[string]string{"script.js": `import d from "./d.json"`, "d.json": "{\n \"a\": }"}, []string{"DIR/d.json:2:7"}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			dir := write(t, test.files)
			_, err := Build(t.Context(), Input{Entry: "script.js", Dir: dir, Builtins: hostModules()})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if want = strings.ReplaceAll(want, "DIR", fileURL(dir)); !strings.Contains(err.Error(), want) {
					t.Errorf("error\n%s\nlacks\n%s", err, want)
				}
			}
			var fault *ScriptError
			if isFault := errors.As(err, &fault); isFault != (test.files != nil) {
				t.Errorf("is a fault of the script: %v", isFault)
			}
		})
	}
}

func TestScriptErrorShortensLongLines(t *testing.T) {
	dir := write(t, map[string]string{"script.js": strings.Repeat("/*ab*/", 500) + "let 1;" + strings.Repeat("/*cd*/", 500)})
	_, err := Build(t.Context(), Input{Entry: "script.js", Dir: dir})
	if err == nil || len(err.Error()) > 600 || !strings.Contains(err.Error(), "let 1") {
		t.Errorf("error %v", err)
	}
}

func TestRequireErrorIsThrown(t *testing.T) {
	dir := write(t, map[string]string{"script.js": "exports.x = 1;\nrequire('k6/nope')"})
	b := build(t, Input{Entry: "script.js", Dir: dir})
	_, err := run(t, b, "0")
	if err == nil || !strings.Contains(err.Error(), `there is no module "k6/nope"`) {
		t.Fatalf("error %v", err)
	}
	if ex := new(goja.Exception); !errors.As(err, &ex) || !strings.Contains(ex.String(), fileURL(dir)+"/script.js:2:") {
		t.Errorf("stack %v, want it to lead to script.js:2", ex)
	}
}

func TestStackTracesShowTheAuthorsLines(t *testing.T) {
	dir := write(t, map[string]string{
		"script.js": "import { f } from './lib/b.ts';\n\nexport default f",
		"lib/b.ts":  "interface I {\n  x: number\n}\n\nexport function f(i: I) {\n  throw new Error('boom')\n}\n",
	})
	_, err := run(t, build(t, Input{Entry: "script.js", Dir: dir}), "exports.default()")
	ex := new(goja.Exception)
	if !errors.As(err, &ex) || !strings.Contains(ex.String(), fileURL(dir)+"/lib/b.ts:6:") {
		t.Errorf("stack %v, want lib/b.ts:6", ex)
	}
}

func TestSourceMapsOfInputs(t *testing.T) {
	// a.ts line 3 became line 1 of a.js.
	const sourceMap = `{"version":3,"sources":["src/a.ts"],"names":[],"mappings":"AAEA,MAAM,IAAI,KAAK,CAAC,MAAM,CAAC"}`
	tests := map[string]map[string]string{
		"in line": {"a.js": "throw new Error('boom')\n//# sourceMappingURL=" + dataURL([]byte(sourceMap))},
		"beside":  {"a.js": "throw new Error('boom')\n//# sourceMappingURL=a.js.map", "a.js.map": sourceMap},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			files["script.js"] = "import './a.js'"
			dir := write(t, files)
			b := build(t, Input{Entry: "script.js", Dir: dir})
			_, err := run(t, b, "0")
			ex := new(goja.Exception)
			if !errors.As(err, &ex) || !strings.Contains(ex.String(), fileURL(dir)+"/src/a.ts:3:") {
				t.Errorf("stack %v, want src/a.ts:3\n%s", ex, b.Map)
			}
		})
	}
}

func TestImportMetaResolve(t *testing.T) {
	dir := write(t, map[string]string{
		"script.js": `import { r } from "./lib/a.js"; export default [r, import.meta.resolve("./d x?.csv"), import.meta.resolve("k6/http"), import.meta.resolve("https://h/x?a=b"), import.meta.url].join("\n")`,
		"lib/a.js":  `export const r = import.meta.resolve("../lib/./" + "b.csv")`,
	})
	b := build(t, Input{Entry: "script.js", Dir: dir})
	got, err := run(t, b, "exports.default")
	base := fileURL(dir)
	want := strings.Join([]string{base + "/lib/b.csv", base + "/d%20x%3F.csv", "k6/http", "https://h/x?a=b", ""}, "\n")
	if err != nil || got != want {
		t.Errorf("got %v, %v\nwant %v", got, err, want)
	}
	if len(b.Warnings) != 0 {
		t.Errorf("warnings %q", b.Warnings)
	}
}

func TestBuildWarnings(t *testing.T) {
	dir := write(t, map[string]string{"script.js": "// \\p{L} in a comment\nexport default [/\\p{Lu}/u, new RegExp(\"\\\\P{L}\", \"u\")]"})
	b := build(t, Input{Entry: "script.js", Dir: dir})
	if len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], "script.js:2:18: regular expressions do not know \\p{Lu} here") {
		t.Errorf("warnings %q", b.Warnings)
	}
}

func TestNamesThatAModuleOfTheHostLacksAreUndefined(t *testing.T) {
	dir := write(t, map[string]string{"script.js": "import http, { got, get } from \"k6/http\";\nimport { Nothing } from \"k6\";\nexport const r = [typeof got, typeof Nothing, get].join()"})
	b := build(t, Input{Entry: "script.js", Dir: dir})
	if got, err := run(t, b, "exports.r"); err != nil || got != "undefined,undefined,k6/http.get" {
		t.Errorf("got %v, %v", got, err)
	}
	if len(b.Warnings) != 2 || !strings.Contains(b.Warnings[0]+b.Warnings[1], `script.js:1:16: the module "k6/http" does not export "got", which is undefined; it has get, post`) {
		t.Errorf("warnings %q, want one for each name, with its place", b.Warnings)
	}
}

func TestBuildIsDeterministic(t *testing.T) {
	files := map[string]string{"script.js": `import "./a.js"; import "./b.js"; import "./c.js"; import { get } from "k6/http"; get()`}
	for _, name := range []string{"a", "b", "c"} {
		files[name+".js"] = `import http from "k6/http"; console.log(http)`
	}
	dir := write(t, files)
	first := build(t, Input{Entry: "script.js", Dir: dir})
	for range 20 {
		again := build(t, Input{Entry: "script.js", Dir: dir})
		if !slices.Equal(first.Code, again.Code) || !slices.Equal(first.Map, again.Map) {
			t.Fatal("the same script gave another bundle")
		}
	}
}

func TestBuildEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	cancel(reason)
	_, err := Build(ctx, Input{Entry: "script.js", Dir: write(t, map[string]string{"script.js": ""})})
	if !errors.Is(err, reason) {
		t.Errorf("error %v, want %v", err, reason)
	}
}

// TestBundleIsLean keeps out of a plain script's bundle what would make every VU run, and hold, functions that only
// dress exports.
func TestBundleIsLean(t *testing.T) {
	script := `import http, { get } from "k6/http"; export const options = { vus: 1 }; export default async function () { await 1; get(http) }`
	b := build(t, Input{Entry: "script.js", Dir: write(t, map[string]string{"script.js": script})})
	for _, unwanted := range []string{"Object.", "=>", "get [", "__require("} {
		if strings.Contains(string(b.Code), unwanted) {
			t.Errorf("the bundle contains %q:\n%s", unwanted, b.Code)
		}
	}
	if b.Async {
		t.Error("await within a function made the whole script async")
	}
}
