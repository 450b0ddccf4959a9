package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// stdinURL is the name of a script from standard input, as in k6.
const stdinURL = "file:///-"

// Build bundles a script and its imports. Faults in the script are *[ScriptError]s, joined when there
// are several; any other error means that a file could not be read or that ctx ended.
func Build(ctx context.Context, in Input) (*Bundle, error) {
	entry, pwd, err := in.locate()
	if err != nil {
		return nil, err
	}
	l := newLoader(ctx, in, entry, pwd)
	if _, err := l.load(entry); err != nil {
		return nil, fmt.Errorf("cannot read the script: %w", err)
	}
	b, err := l.build()
	if err != nil && in.Entry == Stdin {
		// Standard input has no extension that would say which language it is.
		l.loaders[entry] = api.LoaderTS
		if typed, tsErr := l.build(); tsErr == nil {
			b, err = typed, nil
		}
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("bundle %s: %w", entry, context.Cause(ctx))
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// locate gives the URL of the entry script and of the folder that it imports from.
func (in Input) locate() (entry, pwd string, err error) {
	if in.Entry == "" {
		return "", "", errors.New("archive: no script is named")
	}
	dir := in.Dir
	if dir == "" {
		if dir, err = os.Getwd(); err != nil {
			return "", "", fmt.Errorf("archive: working directory: %w", err)
		}
	}
	dir = filepath.ToSlash(dir)
	switch {
	case in.Entry == Stdin:
		entry, pwd = stdinURL, fileURL(dir)
	case strings.Contains(in.Entry, "://"):
		if entry, err = cleanURL(in.Entry); err != nil {
			return "", "", fmt.Errorf("the script: %w", err)
		}
	case path.IsAbs(filepath.ToSlash(in.Entry)):
		entry = fileURL(filepath.ToSlash(in.Entry))
	default:
		entry = fileURL(path.Join(dir, filepath.ToSlash(in.Entry)))
	}
	if in.Pwd != "" {
		pwd = in.Pwd
	}
	if pwd == "" {
		pwd = folder(entry)
	}
	return entry, pwd, nil
}

// build runs esbuild. An ES module is the form that costs a VU least: what esbuild adds to give CommonJS exports takes
// some 20 KB of each runtime. It is built as CommonJS too where only that tells what is asked: whether the script awaits
// at its top level, and what a script that is CommonJS itself exports.
func (l *loader) build() (*Bundle, error) {
	result := api.Build(l.options(api.FormatESModule))
	if l.allowAbsent(result.Errors) {
		result = api.Build(l.options(api.FormatESModule))
	}
	if len(result.Errors) > 0 {
		return nil, l.scriptErrors(result.Errors)
	}
	async, code := false, output(result, false)
	ours := isESModule(code)
	if !ours || mayAwait(code) {
		common := api.Build(l.options(api.FormatCommonJS))
		async = slices.ContainsFunc(common.Errors, isTopLevelAwait)
		switch {
		case !async && len(common.Errors) > 0:
			return nil, l.scriptErrors(common.Errors)
		case !async && !ours:
			result, code = common, output(common, false)
		}
	}
	b := &Bundle{Name: l.entry, Pwd: l.pwd, Async: async, Code: code, Sources: l.sources(), Warnings: append(l.notes, l.warnings(result.Warnings)...)}
	var err error
	if b.Map, err = plainSources(output(result, true)); err != nil {
		return nil, fmt.Errorf("archive: source map: %w", err)
	}
	if async || ours {
		b.Code, err = exportsToCommonJS(b.Code)
	} else {
		b.Code = append([]byte(aliasOfRequire(b.Code)), b.Code...)
	}
	if err != nil {
		return nil, err
	}
	b.Code = strict(b.Code)
	return b, nil
}

// output is the code that esbuild wrote, or its source map.
func output(result api.BuildResult, sourceMap bool) []byte {
	for _, f := range result.OutputFiles {
		if strings.HasSuffix(f.Path, ".map") == sourceMap {
			return f.Contents
		}
	}
	return nil
}

// options are esbuild's settings. Lowering costs speed in the engine, so only what it lacks is
// lowered. Nothing of this machine takes part: no tsconfig, no package.json, no resolution on disk.
func (l *loader) options(format api.Format) api.BuildOptions {
	return api.BuildOptions{
		EntryPoints:    []string{l.entry},
		Outfile:        "/bundle.js",
		AbsWorkingDir:  "/",
		Bundle:         true,
		Format:         format,
		Platform:       api.PlatformNeutral,
		Target:         api.ES2022,
		Supported:      missing(),
		Charset:        api.CharsetUTF8,
		LegalComments:  api.LegalCommentsNone,
		Sourcemap:      api.SourceMapExternal,
		SourcesContent: api.SourcesContentExclude,
		TsconfigRaw:    "{}",
		LogLevel:       api.LogLevelSilent,
		Define:         map[string]string{"import.meta.resolve": metaResolve},
		Plugins:        []api.Plugin{{Name: "hive", Setup: l.setup}},
	}
}

// missing names what the engine cannot run although it is part of the target.
func missing() map[string]bool {
	return map[string]bool{
		"async-generator":      false,
		"for-await":            false,
		"dynamic-import":       false,
		"import-meta":          false,
		"regexp-match-indices": false,
		"regexp-set-notation":  false,
		"decorators":           false,
		"using":                false,
	}
}

// strict makes all code strict, as k6 runs it, CommonJS too. The first line of a bundle is never the
// author's, so no position moves.
func strict(code []byte) []byte {
	const directive = `"use strict";`
	if strings.HasPrefix(string(code[:min(len(code), len(directive))]), directive) {
		return code
	}
	return append([]byte(directive), code...)
}
