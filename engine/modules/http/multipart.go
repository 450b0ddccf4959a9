package http

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"strings"

	"hive/engine/httpclient"
)

// multipart is form data in parts. The contents of files stay where they are until they are sent.
type multipart struct {
	parts []httpclient.Body
	size  int64
}

// newMultipart makes a part of each property, in their order, and gives the content type with its boundary.
func newMultipart(fields []formField) (httpclient.Body, string, error) {
	boundary := newBoundary()
	m := new(multipart)
	for _, field := range fields {
		f := fileOf(field.value)
		content := httpclient.Body(nil)
		head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + quote(field.name) + "\""
		if f != nil {
			head += "; filename=\"" + quote(f.name) + "\"\r\nContent-Type: " + plainLine(f.contentType)
			content = f.content()
		} else {
			content = httpclient.Text(formText(field.value))
		}
		m.add(httpclient.Text(head + "\r\n\r\n"))
		m.add(content)
		m.add(httpclient.Text("\r\n"))
	}
	m.add(httpclient.Text("--" + boundary + "--\r\n"))
	return m, "multipart/form-data; boundary=" + boundary, nil
}

func (m *multipart) add(b httpclient.Body) {
	m.parts = append(m.parts, b)
	m.size += b.Len()
}

// Len returns the size of all parts with what lies between them.
func (m *multipart) Len() int64 { return m.size }

// NewReader returns a reader of the parts, which are not copied.
func (m *multipart) NewReader() io.Reader {
	readers := make([]io.Reader, len(m.parts))
	for i, b := range m.parts {
		readers[i] = b.NewReader()
	}
	return io.MultiReader(readers...)
}

// newBoundary makes a line that occurs in no content.
func newBoundary() string {
	var b [30]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

var quoter = strings.NewReplacer("\\", "\\\\", `"`, "\\\"", "\r", "%0D", "\n", "%0A")

// quote makes a text fit between the quotes of a part's header.
func quote(s string) string { return quoter.Replace(s) }

// plainLine drops line breaks, with which a value would become a header of its own.
func plainLine(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) }
