package js

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// What goes through a bundler shows the author's lines and columns.
func TestBundledPositions(t *testing.T) {
	source := "import { helper } from './lib.ts';\nexport default function () {\n  const n: number = 1;\n\n    helper(n);\n}\n"
	lib := "// a comment\nexport function helper(n: number) {\n  if (n) { throw new TypeError('x'); }\n}\n"
	result := api.Build(api.BuildOptions{
		Bundle: true, Format: api.FormatCommonJS, Sourcemap: api.SourceMapExternal, Outfile: "/d/out.js", AbsWorkingDir: "/d",
		Stdin: &api.StdinOptions{Contents: source, Sourcefile: "/d/main.ts", ResolveDir: "/d", Loader: api.LoaderTS},
		Plugins: []api.Plugin{{Name: "lib", Setup: func(b api.PluginBuild) {
			b.OnResolve(api.OnResolveOptions{Filter: "lib"}, func(api.OnResolveArgs) (api.OnResolveResult, error) {
				return api.OnResolveResult{Path: "/d/lib.ts"}, nil
			})
			b.OnLoad(api.OnLoadOptions{Filter: "lib"}, func(api.OnLoadArgs) (api.OnLoadResult, error) {
				return api.OnLoadResult{Contents: &lib, Loader: api.LoaderTS}, nil
			})
		}}},
	})
	if len(result.Errors) > 0 {
		t.Fatal(result.Errors)
	}
	var code, sourceMap []byte
	for _, f := range result.OutputFiles {
		if strings.HasSuffix(f.Path, ".map") {
			sourceMap = f.Contents
		} else {
			code = f.Contents
		}
	}
	prg, err := Compile("file:///d/main.ts", code, sourceMap)
	if err != nil {
		t.Fatal(err)
	}
	vu := newVU(t, &Config{Program: prg}, nil)
	err = vu.Iterate(context.Background(), nil)
	var ex *Exception
	if !errors.As(err, &ex) {
		t.Fatalf("got %v", err)
	}
	want := "\tat helper (file:///d/lib.ts:3:18)\n\tat default (file:///d/main.ts:5:5)"
	if got := counters.ReplaceAllString(ex.Stack, ""); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func FuzzVLQ(f *testing.F) {
	f.Add("AACC")
	f.Add("gB,yrtH")
	f.Add("AAAA;;ACAC,D")
	f.Fuzz(func(t *testing.T, s string) {
		values, err := decodeVLQ(s)
		if err == nil {
			var b strings.Builder
			encodeVLQ(&b, values)
			again, err := decodeVLQ(b.String())
			if err != nil || fmt.Sprint(again) != fmt.Sprint(values) {
				t.Errorf("%q: %v, then %q: %v, %v", s, values, b.String(), again, err)
			}
		}
		_, _ = fitMappings(s)
	})
}
