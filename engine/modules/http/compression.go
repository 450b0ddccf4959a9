package http

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
)

// encodings are what a request's body may be compressed with.
var encodings = []string{"gzip", "deflate", "zstd", "br"}

// compressionParam reads a comma-separated list of encodings, which are applied in this order.
func (p paramReader) compressionParam(v goja.Value) error {
	list := strings.TrimSpace(v.String())
	if list == "" || goja.IsUndefined(v) || goja.IsNull(v) {
		return nil
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(encodings, name) {
			return fmt.Errorf("unknown compression %q: it must be a list of %s", name, strings.Join(encodings, ", "))
		}
		p.call.compression = append(p.call.compression, name)
	}
	return nil
}

// compress replaces what is sent and says so in the header, unless the script has said otherwise.
func (p paramReader) compress() error {
	data, err := io.ReadAll(p.call.body.NewReader())
	if err != nil {
		return fmt.Errorf("compress the body: %w", err)
	}
	for _, encoding := range p.call.compression {
		if data, err = httpclient.Encode(encoding, data); err != nil {
			return fmt.Errorf("compress the body: %w", err)
		}
	}
	p.call.encoded = httpclient.Bytes(data)
	wanted := strings.Join(p.call.compression, ", ")
	p.addHeader("Content-Encoding", wanted)
	if has := field(p.call.header, "Content-Encoding"); has != wanted {
		p.vu.Log().Warn(fmt.Sprintf("the %s request for %s has a Content-Encoding header of %q, which is sent, but its body is compressed with %q",
			p.call.method, p.call.to.name, has, wanted))
	}
	return nil
}

// field returns the value of a header field, or "".
func field(header []httpclient.Field, name string) string {
	for i := range header {
		if header[i].Name == name {
			return header[i].Value
		}
	}
	return ""
}
