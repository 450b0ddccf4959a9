package archive

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

// isBuiltin says whether a specifier names a module of the host.
func isBuiltin(spec string) bool {
	return spec == "k6" || strings.HasPrefix(spec, "k6/")
}

// resolve gives the URL of the file that spec names in the file importer, whose own relative imports
// start from the folder base. Names are exact: no extension is added and no index file looked for.
func resolve(spec, importer, base string) (string, error) {
	switch {
	case spec == "":
		return "", fmt.Errorf("the module name is empty")
	case strings.HasPrefix(spec, "https://"):
		return cleanURL(spec)
	case strings.HasPrefix(spec, "file://"):
		if strings.HasPrefix(importer, "https://") {
			return "", fmt.Errorf("%s was loaded over https and may not use the local file %q", importer, spec)
		}
		return cleanURL(spec)
	case strings.HasPrefix(spec, "/"), strings.HasPrefix(spec, "./"), strings.HasPrefix(spec, "../"), spec == ".", spec == "..":
		return join(base, spec)
	}
	if scheme, _, ok := strings.Cut(spec, "://"); ok {
		return "", fmt.Errorf("%q cannot be imported: of the URL schemes only https and file are known, not %s", spec, scheme)
	}
	return "", fmt.Errorf("%q is not a module that can be found: write ./%s for a file beside this one, a full https:// URL, "+
		"or one of the host's modules (k6, k6/…); packages are not looked up by name", spec, spec)
}

// unknownBuiltin is the error for a k6 module that the host does not have.
func unknownBuiltin(spec string, builtins map[string][]string) error {
	known := make([]string, 0, len(builtins))
	for name := range builtins {
		known = append(known, name)
	}
	slices.Sort(known)
	if better, ok := renamed[spec]; ok {
		return fmt.Errorf("the module %q is gone: use %s", spec, better)
	}
	what := "there is no module"
	if strings.HasPrefix(spec, "k6/x/") {
		what = "extensions cannot be loaded, so there is no module"
	}
	return fmt.Errorf("%s %q; the modules are %s", what, spec, strings.Join(known, ", "))
}

// renamed lists the modules that k6 once had and what took their place.
var renamed = map[string]string{
	"k6/experimental/browser":   "k6/browser",
	"k6/experimental/grpc":      "k6/net/grpc",
	"k6/experimental/timers":    "k6/timers, or the global setTimeout and its kin",
	"k6/experimental/tracing":   "the http-instrumentation-tempo library",
	"k6/experimental/webcrypto": "the global crypto",
}

// join resolves a path against the URL of a folder.
func join(base, ref string) (string, error) {
	if filePath, ok := strings.CutPrefix(base, "file://"); ok {
		dir, err := url.PathUnescape(filePath)
		if err != nil {
			return "", fmt.Errorf("resolve %q in %s: %w", ref, base, err)
		}
		if !path.IsAbs(ref) {
			ref = path.Join(dir, ref)
		}
		return fileURL(ref), nil
	}
	u, err := url.Parse(strings.TrimSuffix(base, "/") + "/")
	if err != nil {
		return "", fmt.Errorf("resolve %q: %w", ref, err)
	}
	rel, err := url.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("resolve %q: %w", ref, err)
	}
	return cleanURL(u.ResolveReference(rel).String())
}

// cleanURL gives a file or https URL in the one form used as a key.
func cleanURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("%q is not a URL: %w", raw, err)
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" {
			return "", fmt.Errorf("%q names the host %q: a file URL has three slashes, file:///path", raw, u.Host)
		}
		if !path.IsAbs(u.Path) {
			return "", fmt.Errorf("%q has no absolute path", raw)
		}
		return fileURL(u.Path), nil
	case "https":
		if u.Host == "" {
			return "", fmt.Errorf("%q has no host", raw)
		}
		u.Fragment, u.RawFragment = "", ""
		return u.String(), nil
	}
	return "", fmt.Errorf("%q is neither a file nor an https URL", raw)
}

// fileURL gives the URL of an absolute path.
func fileURL(name string) string {
	return (&url.URL{Scheme: "file", Path: path.Clean(name)}).String()
}

// filePath gives the path of a file URL.
func filePath(fileURL string) (string, error) {
	u, err := url.Parse(fileURL)
	if err != nil {
		return "", fmt.Errorf("%q is not a URL: %w", fileURL, err)
	}
	if u.Scheme != "file" {
		return "", fmt.Errorf("%q is not a file URL", fileURL)
	}
	return u.Path, nil
}

// folder gives the URL of the folder that a file is in, in k6's form: without a final slash for
// files, with one for https.
func folder(of string) string {
	u, err := url.Parse(of)
	if err != nil {
		return of
	}
	if u.Scheme == "file" {
		return fileURL(path.Dir(u.Path))
	}
	dot, _ := url.Parse(".")
	return u.ResolveReference(dot).String()
}
