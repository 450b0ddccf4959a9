package js

import (
	"bytes"
	"fmt"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

// Program is a compiled script. It is made once per process and run by any
// number of VUs at the same time.
type Program struct {
	name     string
	code     *goja.Program
	async    bool // the body returns a promise
	requires bool // the body mentions require
	files    fileCache
}

// The names under which a script's body sees its surroundings, as in CommonJS.
const (
	openSync  = "(function(module,exports,require){"
	openAsync = "(async function(module,exports,require){"
	closeBody = "\n})"
)

// Compile makes a program of a CommonJS body. name is the script's URL and
// shows in stack traces; with a source map (JSON, nil for none) these show the
// author's files and lines instead. The error tells where code does not parse.
func Compile(name string, code, sourceMap []byte) (*Program, error) {
	return compile(name, openSync, code, sourceMap)
}

// CompileAsync is Compile for a body that uses await at its top level. A VU is
// ready when the promise of the body is fulfilled.
func CompileAsync(name string, code, sourceMap []byte) (*Program, error) {
	return compile(name, openAsync, code, sourceMap)
}

// Name is the script's URL, as given to Compile.
func (p *Program) Name() string { return p.name }

func compile(name, open string, code, sourceMap []byte) (*Program, error) {
	src := open + string(code) + closeBody
	opts := []parser.Option{parser.WithDisableSourceMaps}
	if len(sourceMap) > 0 {
		fitted, err := fitSourceMap(sourceMap)
		if err != nil {
			return nil, fmt.Errorf("compile %s: source map: %w", name, err)
		}
		src = open + "\n" + string(code) + closeBody + "\n//# sourceMappingURL=script.map"
		opts = []parser.Option{parser.WithSourceMapLoader(func(string) ([]byte, error) { return fitted, nil })}
	}
	tree, err := goja.Parse(name, src, opts...)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	prg, err := goja.CompileAST(tree, false)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	return &Program{
		name:     name,
		code:     prg,
		async:    open == openAsync,
		requires: bytes.Contains(code, []byte("require")),
	}, nil
}
