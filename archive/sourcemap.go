package archive

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// plainSources turns esbuild's names of the sources in a source map into plain URLs.
func plainSources(sourceMap []byte) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(sourceMap, &m); err != nil {
		return nil, err
	}
	var sources []string
	if err := json.Unmarshal(m["sources"], &sources); err != nil {
		return nil, err
	}
	for i, s := range sources {
		sources[i] = plainName(s)
	}
	var err error
	if m["sources"], err = json.Marshal(sources); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// plainName takes esbuild's namespace off a file's name.
func plainName(name string) string {
	for _, space := range []string{spaceScript, spaceBuiltin, spaceMissing} {
		if rest, ok := strings.CutPrefix(name, space+":"); ok {
			return rest
		}
	}
	return name
}

// dataURL packs a source map for a comment.
func dataURL(sourceMap []byte) string {
	return "data:application/json;base64," + base64.StdEncoding.EncodeToString(sourceMap)
}
