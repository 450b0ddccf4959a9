// Package hive_test holds the rules between the packages of this module.
package hive_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A rule forbids packages to depend on others, directly or through anything else.
type rule struct {
	packages  string   // a package below the module, or with /... a whole tree
	strangers []string // import paths, or trees with /...
	why       string
}

var rules = []rule{
	{
		packages:  "engine/...",
		strangers: []string{"go.etcd.io/...", "hive/hive", "hive/archive", "hive/election", "hive/registry", "hive/output/...", "hive/cmd/..."},
		why:       "a local run is the engine alone: it knows neither etcd, nor peers, nor where results go",
	},
	{
		packages:  "election",
		strangers: []string{"github.com/dop251/goja/...", "hive/..."},
		why:       "who leads has nothing to do with load tests",
	},
	{
		packages:  "registry",
		strangers: []string{"github.com/dop251/goja/...", "hive/engine/...", "hive/hive", "hive/archive", "hive/output/...", "hive/cmd/..."},
		why:       "who is there has nothing to do with scripts",
	},
	{
		packages:  "archive",
		strangers: []string{"github.com/dop251/goja/...", "hive/engine/...", "hive/hive", "hive/election", "hive/registry", "hive/output/...", "hive/cmd/..."},
		why:       "an archive is packed and unpacked, never executed",
	},
	{
		packages:  "output/...",
		strangers: []string{"go.etcd.io/...", "github.com/dop251/goja/...", "hive/hive", "hive/archive", "hive/election", "hive/registry", "hive/cmd/...", "hive/engine", "hive/engine/js/...", "hive/engine/modules/...", "hive/engine/executor", "hive/engine/options", "hive/engine/share", "hive/engine/httpclient"},
		why:       "outputs see samples and verdicts, nothing of how they came about",
	},
	{
		packages:  "engine/metric",
		strangers: []string{"hive/..."},
		why:       "everything measures, so measuring depends on nothing of ours",
	},
	{
		packages:  "engine/share",
		strangers: []string{"hive/..."},
		why:       "sharing out is arithmetic on integers",
	},
	{
		packages:  "engine/httpclient",
		strangers: []string{"hive/...", "github.com/dop251/goja/..."},
		why:       "one request out, one set of timings back",
	},
	{
		packages:  "engine/executor",
		strangers: []string{"hive/engine/js/...", "hive/engine/metric", "hive/engine/modules/...", "github.com/dop251/goja/..."},
		why:       "when iterations start does not depend on what they do",
	},
	{
		packages:  "engine/threshold",
		strangers: []string{"hive/engine/js/...", "hive/engine/executor", "hive/engine/options", "github.com/dop251/goja/..."},
		why:       "a threshold judges numbers",
	},
	{
		packages:  "engine/options",
		strangers: []string{"hive/engine/js/...", "hive/engine/modules/...", "hive/engine/httpclient", "github.com/dop251/goja/..."},
		why:       "options are plain values, read without a script engine",
	},
	{
		packages:  "engine/js/...",
		strangers: []string{"hive/engine/modules/...", "hive/engine/options", "hive/engine/executor", "hive/engine/httpclient", "hive/engine/threshold"},
		why:       "modules come to the runtime, not the runtime to modules",
	},
	{
		packages:  "hive/...",
		strangers: []string{"hive/cmd/..."},
		why:       "the command line is the outermost room",
	},
}

// TestArrows holds the arrows between packages: which of them must not reach which.
func TestArrows(t *testing.T) {
	packages := list(t)
	for _, r := range rules {
		matched := false
		for _, p := range packages {
			name := strings.TrimPrefix(p.ImportPath, "hive/")
			if !matches(r.packages, name) {
				continue
			}
			matched = true
			for _, dep := range p.Deps {
				if dep != p.ImportPath && forbidden(r, dep) {
					t.Errorf("%s reaches %s; %s", p.ImportPath, dep, r.why)
				}
			}
		}
		if !matched {
			t.Errorf("no package is %s: the rule about it guards nothing", r.packages)
		}
	}
}

func forbidden(r rule, dep string) bool {
	return slices.ContainsFunc(r.strangers, func(pattern string) bool { return matches(pattern, dep) })
}

// matches says whether name is the pattern, or below it when the pattern ends in /...
func matches(pattern, name string) bool {
	tree, whole := strings.CutSuffix(pattern, "/...")
	return name == tree || whole && strings.HasPrefix(name, tree+"/")
}

func TestMatches(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"engine", "engine", true},
		{"engine", "engine/js", false},
		{"engine/...", "engine", true},
		{"engine/...", "engine/js", true},
		{"engine/...", "engines", false},
	} {
		if got := matches(tc.pattern, tc.name); got != tc.want {
			t.Errorf("matches(%q, %q) = %v, want %v", tc.pattern, tc.name, got, tc.want)
		}
	}
}

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Deps       []string
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Deps", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var packages []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
}
