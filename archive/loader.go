package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/evanw/esbuild/pkg/api"
)

// The namespaces that esbuild knows our modules by.
const (
	spaceScript  = "script"  // a file; its path is its URL
	spaceBuiltin = "builtin" // a module of the host; its path is its name
	spaceMissing = "missing" // a require() that must fail when it is reached
)

// loader finds and reads the modules of one script for esbuild.
type loader struct {
	ctx      context.Context // of the one Build that the loader lives for
	files    Files
	entry    string
	pwd      string
	builtins map[string][]string
	loaders  map[string]api.Loader // by URL, where the extension does not decide
	absent   map[string][]string   // names that are imported from the host's modules, and not there
	notes    []string              // warnings that esbuild does not give

	mu   sync.Mutex
	read map[string]*module // by URL
}

// module is a file that was asked for; once reads it.
type module struct {
	once sync.Once
	data []byte
	err  error
}

func newLoader(ctx context.Context, in Input, entry, pwd string) *loader {
	files := in.Files
	if files == nil {
		files = newRemote(in.HTTP)
	}
	l := &loader{
		ctx: ctx, files: files, entry: entry, pwd: pwd, builtins: in.Builtins,
		loaders: map[string]api.Loader{}, read: map[string]*module{},
	}
	if in.Entry == Stdin {
		m := &module{data: in.Source}
		m.once.Do(func() {})
		l.read[entry] = m
	}
	return l
}

// load reads a file once.
func (l *loader) load(url string) ([]byte, error) {
	l.mu.Lock()
	m := l.read[url]
	if m == nil {
		m = &module{}
		l.read[url] = m
	}
	l.mu.Unlock()
	m.once.Do(func() { m.data, m.err = l.files.ReadFile(l.ctx, url) })
	return m.data, m.err
}

// sources gives every file that was read.
func (l *loader) sources() map[string][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string][]byte, len(l.read))
	for url, m := range l.read {
		if m.err == nil {
			all[url] = m.data
		}
	}
	return all
}

func (l *loader) setup(b api.PluginBuild) {
	b.OnResolve(api.OnResolveOptions{Filter: ".*"}, l.onResolve)
	b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: spaceScript}, l.onLoad)
	b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: spaceBuiltin}, l.onLoadBuiltin)
	b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: spaceMissing}, onLoadMissing)
}

func (l *loader) onResolve(args api.OnResolveArgs) (api.OnResolveResult, error) {
	r, err := l.place(args)
	if err != nil && args.Kind == api.ResolveJSRequireCall && l.ctx.Err() == nil {
		// Libraries try require() to learn where they run: it fails only if it is reached.
		return api.OnResolveResult{
			Path: args.Path, Namespace: spaceMissing, PluginData: err.Error(),
			Suffix: "?" + url.QueryEscape(args.Importer),
		}, nil
	}
	return r, err
}

// place says which module an import means, and makes sure that its file can be read.
func (l *loader) place(args api.OnResolveArgs) (api.OnResolveResult, error) {
	if args.Kind == api.ResolveEntryPoint {
		return api.OnResolveResult{Path: l.entry, Namespace: spaceScript}, nil
	}
	if isBuiltin(args.Path) {
		if _, ok := l.builtins[args.Path]; !ok {
			return api.OnResolveResult{}, unknownBuiltin(args.Path, l.builtins)
		}
		if args.Kind == api.ResolveJSRequireCall {
			return api.OnResolveResult{Path: args.Path, External: true}, nil
		}
		return api.OnResolveResult{Path: args.Path, Namespace: spaceBuiltin}, nil
	}
	base := folder(args.Importer)
	if args.Importer == l.entry {
		base = l.pwd
	}
	target, err := resolve(args.Path, args.Importer, base)
	if err != nil {
		return api.OnResolveResult{}, err
	}
	if _, err := l.load(target); err != nil {
		return api.OnResolveResult{}, fmt.Errorf("cannot import %q: %w", args.Path, plainPathError(err))
	}
	return api.OnResolveResult{Path: target, Namespace: spaceScript}, nil
}

// onLoad gives esbuild a file.
func (l *loader) onLoad(args api.OnLoadArgs) (api.OnLoadResult, error) {
	data, err := l.load(args.Path)
	if err != nil {
		return api.OnLoadResult{}, err
	}
	if fault := notUTF8(args.Path, data); fault != nil {
		return api.OnLoadResult{Errors: []api.Message{*fault}}, nil
	}
	kind, ok := l.loaders[args.Path]
	if !ok {
		kind = loaderFor(args.Path)
	}
	if kind != api.LoaderJSON {
		data = l.withSourceMap(args.Path, data)
		data = withMeta(data, l.base(args.Path))
	}
	contents := string(data)
	return api.OnLoadResult{Contents: &contents, Loader: kind}, nil
}

// notUTF8 says where a file is not text in UTF-8, the encoding of scripts; nil when all of it is.
func notUTF8(file string, data []byte) *api.Message {
	if utf8.Valid(data) {
		return nil
	}
	line, start := 1, 0
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			text, _, _ := bytes.Cut(data[start:], []byte("\n"))
			return &api.Message{Text: "this is not UTF-8, the encoding of scripts", Location: &api.Location{
				File: file, Namespace: spaceScript, Line: line, Column: i - start, Length: 1, LineText: string(text),
			}}
		}
		if i += size; r == '\n' {
			line, start = line+1, i
		}
	}
	return nil
}

// base is the folder that a file's relative names start from.
func (l *loader) base(file string) string {
	if file == l.entry {
		return l.pwd
	}
	return folder(file)
}

// loaderFor chooses the language by the extension alone.
func loaderFor(fileURL string) api.Loader {
	name := fileURL
	if u, err := url.Parse(fileURL); err == nil {
		name = u.Path
	}
	switch path.Ext(name) {
	case ".ts", ".mts", ".cts":
		return api.LoaderTS
	case ".json":
		return api.LoaderJSON
	}
	return api.LoaderJS
}

// onLoadBuiltin writes a module that stands for one of the host's: named exports become variables of
// the bundle, and those that nobody uses are dropped.
func (l *loader) onLoadBuiltin(args api.OnLoadArgs) (api.OnLoadResult, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "var host = %s(%s);\nfunction member(name) { return host[name]; }\nexport default host;\n", requireAlias, quote(args.Path))
	for i, name := range l.builtins[args.Path] {
		if name == "default" {
			continue
		}
		fmt.Fprintf(&b, "var member%d = /* @__PURE__ */ member(%s);\nexport { member%d as %s };\n", i, quote(name), i, quote(name))
	}
	for i, name := range l.absent[args.Path] {
		fmt.Fprintf(&b, "var absent%d;\nexport { absent%d as %s };\n", i, i, quote(name))
	}
	contents := b.String()
	return api.OnLoadResult{Contents: &contents, Loader: api.LoaderJS}, nil
}

func onLoadMissing(args api.OnLoadArgs) (api.OnLoadResult, error) {
	message, ok := args.PluginData.(string)
	if !ok {
		return api.OnLoadResult{}, errors.New("archive: a missing module without its reason")
	}
	contents := fmt.Sprintf("throw new Error(%s);\n", quote(message))
	return api.OnLoadResult{Contents: &contents, Loader: api.LoaderJS}, nil
}

// mayHaveMap is cheap to ask before looking for the reference to a source map.
func mayHaveMap(data []byte) bool {
	return bytes.Contains(data, []byte(mapReference))
}

const mapReference = "sourceMappingURL="

// withSourceMap puts a source map that lies beside a file into it, where esbuild reads it. A map that
// cannot be read changes nothing: positions are then those of the file itself.
func (l *loader) withSourceMap(file string, data []byte) []byte {
	if !mayHaveMap(data) {
		return data
	}
	at := bytes.LastIndex(data, []byte(mapReference))
	ref, _, _ := strings.Cut(string(data[at+len(mapReference):]), "\n")
	ref = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(ref), "*/"))
	if ref == "" || strings.HasPrefix(ref, "data:") || strings.ContainsAny(ref, "\"'` ") {
		return data
	}
	if !strings.Contains(ref, "://") && !path.IsAbs(ref) {
		ref = "./" + ref
	}
	target, err := resolve(ref, file, folder(file))
	if err != nil {
		return data
	}
	sourceMap, err := l.load(target)
	if err != nil {
		return data
	}
	return fmt.Appendf(bytes.Clone(data), "\n//# %s%s", mapReference, dataURL(sourceMap))
}
