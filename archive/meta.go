package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// metaResolve is what import.meta.resolve is called in a bundle.
const metaResolve = "__import_meta_resolve"

// resolver is import.meta.resolve for the folder %s, by the rules of [resolve].
const resolver = `
function ` + metaResolve + `(name) {
  name = String(name);
  if (/^(k6$|k6\/|[a-z][a-z0-9+.-]*:\/\/)/.test(name)) return name;
  var base = %s, root = base.match(/^[a-z]+:\/\/[^\/]*/)[0];
  if (root === "file://") name = encodeURI(name).replace(/[?#]/g, encodeURIComponent);
  if (name[0] !== "/") name = base.slice(root.length).replace(/\/$/, "") + "/" + name;
  var tail = name.search(/[?#]/), out = [];
  if (tail < 0) tail = name.length;
  name.slice(1, tail).split("/").forEach(function (part) {
    if (part === "..") out.pop();
    else if (part !== ".") out.push(part);
  });
  return root + "/" + out.join("/") + name.slice(tail);
}
`

// withMeta adds import.meta.resolve to a module that mentions it. It goes below the code, where no
// line of the author's moves; functions are there from the start.
func withMeta(data []byte, base string) []byte {
	if !bytes.Contains(data, []byte("import.meta.resolve")) {
		return data
	}
	return fmt.Appendf(bytes.Clone(data), resolver, quote(base))
}

// quote gives a string as a JavaScript literal.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
