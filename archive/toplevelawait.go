package archive

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func isTopLevelAwait(m api.Message) bool {
	return strings.HasPrefix(m.Text, "Top-level await is currently not supported")
}

// asyncExports is what exports is called below a script that may use that name.
const asyncExports = "__exports"

// finalExport is how an ES module that esbuild wrote ends.
var finalExport = regexp.MustCompile(`(?s)(?:^|\n)export \{\n(.*?)\n\};\n*$`)

// oneExport is a line of it: local, local as name, or local as "any name".
var oneExport = regexp.MustCompile(`^\s*(\S+?)(?: as (.+?))?,?$`)

// exportsToCommonJS makes an ES module, which may await at its top level, into the body of an async
// function: its one export statement becomes getters on exports.
func exportsToCommonJS(code []byte) ([]byte, error) {
	at := finalExport.FindSubmatchIndex(code)
	if at == nil {
		if bytes.Contains(code, []byte("\nexport ")) {
			return nil, errors.New("archive: top-level await needs an entry script that is an ES module")
		}
		return code, nil // nothing is exported
	}
	// The block lets the script have names of its own that are those of CommonJS.
	var out bytes.Buffer
	fmt.Fprintf(&out, "const %s = exports; {%s\n", asyncExports, code[:at[0]])
	for line := range strings.Lines(string(code[at[2]:at[3]])) {
		m := oneExport.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			return nil, fmt.Errorf("archive: an export that cannot be read: %q", line)
		}
		local, name := m[1], m[2]
		if name == "" {
			name = local
		}
		if !strings.HasPrefix(name, `"`) {
			name = quote(name)
		}
		fmt.Fprintf(&out, "Object.defineProperty(%s, %s, { enumerable: true, get: () => %s });\n", asyncExports, name, local)
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}
