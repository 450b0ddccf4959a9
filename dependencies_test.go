package hive_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDependenciesHaveReasons holds docs/dependencies.md to go.mod: each direct dependency has its line, and no line is left over.
func TestDependenciesHaveReasons(t *testing.T) {
	page, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			named[name] = true
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	direct := directModules(t, out)
	for name := range direct {
		if !named[name] {
			t.Errorf("docs/dependencies.md does not say why %s is there", name)
		}
	}
	for name := range named {
		if !direct[name] {
			t.Errorf("docs/dependencies.md names %s, which go.mod does not require directly", name)
		}
	}
}

// directModules reads the output of go mod edit -json: what is required directly, and the modules of tools.
func directModules(t *testing.T, data []byte) map[string]bool {
	t.Helper()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Tool []struct{ Path string }
	}
	if err := json.Unmarshal(data, &mod); err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	direct := map[string]bool{}
	for _, r := range mod.Require {
		tool := false
		for _, u := range mod.Tool {
			tool = tool || strings.HasPrefix(u.Path, r.Path+"/")
		}
		if !r.Indirect || tool {
			direct[r.Path] = true
		}
	}
	return direct
}
