package archive

import (
	"bytes"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func isTopLevelAwait(m api.Message) bool {
	return strings.HasPrefix(m.Text, "Top-level await is currently not supported")
}

// mayAwait says that code could await at its top level; only esbuild knows whether it does.
func mayAwait(code []byte) bool { return bytes.Contains(code, []byte("await")) }
