package archive

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// What module and require are called in code that is put around a script, which may use these names. A function of the
// script that mentions one of the originals would make each VU keep all three arguments of the bundle's body.
const (
	moduleAlias  = "__module"
	requireAlias = "__require_host"
)

// finalExport is how an ES module that esbuild wrote ends.
var finalExport = regexp.MustCompile(`(?s)(?:^|\n)export \{\n(.*?)\n\};\n*$`)

// oneExport is a line of it: local, local as name, or local as "any name".
var oneExport = regexp.MustCompile(`^\s*(\S+?)(?: as (.+?))?,?$`)

// aliasOfRequire declares what code with imports of the host's modules needs.
func aliasOfRequire(code []byte) string {
	if !bytes.Contains(code, []byte(requireAlias)) {
		return ""
	}
	return "const " + requireAlias + " = require; "
}

// isESModule says that the entry script of an ES module that esbuild wrote is one too. Where it is CommonJS, an export
// of its exports object stands at the end instead.
func isESModule(code []byte) bool {
	return finalExport.Match(code) || !bytes.Contains(code, []byte("\nexport "))
}

// exportsToCommonJS makes an ES module, which may await at its top level, into the body of a function (an async one
// then): its one export statement becomes the object of its exports.
func exportsToCommonJS(code []byte) ([]byte, error) {
	if !isESModule(code) {
		return nil, errors.New("archive: top-level await needs an entry script that is an ES module")
	}
	body, list := code, ""
	if at := finalExport.FindSubmatchIndex(code); at != nil {
		body, list = code[:at[0]], string(code[at[2]:at[3]])
	}
	// The block lets the script have names of its own that are those of CommonJS.
	var out bytes.Buffer
	fmt.Fprintf(&out, "%sconst %s = module; {%s\n", aliasOfRequire(body), moduleAlias, body)
	if list != "" {
		fmt.Fprintf(&out, "%s.exports = {\n", moduleAlias)
		for line := range strings.Lines(list) {
			property, err := exportedProperty(strings.TrimSuffix(line, "\n"), body)
			if err != nil {
				return nil, err
			}
			out.WriteString(property)
		}
		out.WriteString("};\n")
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}

// exportedProperty makes one exported name a property of an object literal. Names follow their variables, which takes a
// getter, of which every VU has its own; a variable that is named where it is declared and nowhere else never changes.
func exportedProperty(line string, body []byte) (string, error) {
	m := oneExport.FindStringSubmatch(line)
	if m == nil {
		return "", fmt.Errorf("archive: an export that cannot be read: %q", line)
	}
	local, name := m[1], m[2]
	if name == "" {
		name = local
	}
	if !strings.HasPrefix(name, `"`) {
		name = quote(name)
	}
	if bytes.Count(body, []byte(local)) == 1 && !bytes.Contains(body, []byte("eval")) {
		return fmt.Sprintf("[%s]: %s,\n", name, local), nil
	}
	return fmt.Sprintf("get [%s]() { return %s; },\n", name, local), nil
}
