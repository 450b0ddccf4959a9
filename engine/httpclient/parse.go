package httpclient

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// framing is what a header block says about the content that follows and about the connection.
type framing struct {
	length  int64  // of the content; -1 when the block does not say
	seen    string // the Content-Length that length comes from
	chunked bool
	old     bool // before HTTP/1.1, where a connection is kept only when the server offers it
	close   bool // the server says that it closes
	keep    bool // the server offers to go on
}

// reusable tells whether another request may follow on the connection.
func (f *framing) reusable() bool { return !f.close && (!f.old || f.keep) }

// parseHead reads a header block into resp. The block is changed: names become canonical where they stand. last is
// the text of an earlier block; one that equals it costs no memory. The text that resp now refers to is returned.
func parseHead(block []byte, last string, resp *Response) (f framing, text string, err error) {
	f.length = -1
	end := bytes.IndexByte(block, '\n') + 1
	canonicalLines(block[end:])
	text = last
	if string(block) != last {
		text = string(block)
	}
	if err = f.status(strings.TrimRight(text[:end], "\r\n"), resp); err != nil {
		return f, text, err
	}
	if err = f.fields(text[end:], resp); err != nil {
		return f, text, err
	}
	f.finish(resp)
	return f, text, nil
}

// status reads a line such as "HTTP/1.1 200 OK".
func (f *framing) status(line string, resp *Response) error {
	proto, status, ok := strings.Cut(line, " ")
	if !ok {
		return malformedStatus([]byte(line))
	}
	if !validProto(proto) {
		return generic("malformed HTTP version %q", clip(proto))
	}
	status = strings.TrimLeft(status, " ")
	code, _, _ := strings.Cut(status, " ")
	n, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || n < 100 {
		return generic("malformed HTTP status code %q", clip(code))
	}
	f.old = proto < "HTTP/1.1"
	resp.Proto, resp.Status, resp.StatusText = proto, int(n), status
	return nil
}

func validProto(p string) bool {
	return len(p) == len("HTTP/1.1") && p[:5] == "HTTP/" && digit(p[5]) && p[6] == '.' && digit(p[7])
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func malformedStatus(line []byte) error {
	return generic("malformed HTTP response %q", clip(string(bytes.TrimRight(line, "\r\n"))))
}

// clip shortens what a server sent to what an error message may carry.
func clip(s string) string { return s[:min(len(s), 200)] }

// fields reads header lines up to the empty one. Those that only frame the content are kept out of resp.
func (f *framing) fields(lines string, resp *Response) error {
	for {
		line, rest, _ := strings.Cut(lines, "\n")
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			return nil
		}
		lines = rest
		if line[0] == ' ' || line[0] == '\t' {
			if !unfold(line, resp) {
				return generic("malformed MIME header initial line: %q", clip(line))
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return generic("malformed MIME header: missing colon: %q", clip(line))
		}
		if err := f.field(name, trim(value), resp); err != nil {
			return err
		}
	}
}

// unfold adds a continuation line to the field before it, an old form that RFC 9112 section 5.2 lets clients accept.
func unfold(line string, resp *Response) bool {
	n := len(resp.Header)
	if n == 0 {
		return false
	}
	resp.Header[n-1].Value = trim(resp.Header[n-1].Value + " " + trim(line))
	return true
}

// field takes note of one header field.
func (f *framing) field(name, value string, resp *Response) error {
	switch name {
	case "Content-Length":
		return f.contentLength(value, resp)
	case "Transfer-Encoding":
		return f.transferEncoding(value)
	case "Trailer":
		return nil
	case "Connection":
		f.keep = f.keep || hasToken(value, "keep-alive")
		if hasToken(value, "close") {
			f.close = true
			return nil
		}
	}
	resp.Header = append(resp.Header, Field{name, value})
	return nil
}

func (f *framing) transferEncoding(value string) error {
	switch {
	case f.old:
		return nil // unknown to HTTP/1.0
	case f.chunked:
		return generic("too many transfer encodings")
	case !strings.EqualFold(value, "chunked"):
		return generic("unsupported transfer encoding: %q", clip(value))
	}
	f.chunked = true
	return nil
}

func (f *framing) contentLength(value string, resp *Response) error {
	if f.seen != "" {
		if value != f.seen {
			return generic("http: message cannot contain multiple Content-Length headers; got [%q %q]", clip(f.seen), clip(value))
		}
		return nil
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return generic("bad Content-Length %q", clip(value))
	}
	f.length, f.seen = int64(n), value
	resp.Header = append(resp.Header, Field{"Content-Length", value})
	return nil
}

// finish draws the conclusions of the whole block (RFC 9112 section 6.3).
func (f *framing) finish(resp *Response) {
	if f.chunked {
		f.length = -1
		resp.Header = slices.DeleteFunc(resp.Header, func(h Field) bool { return h.Name == "Content-Length" })
	}
	if bodiless(resp.Status) {
		f.chunked, f.length = false, 0
	}
}

// bodiless tells whether a response with this status has no content, whatever its header says.
func bodiless(status int) bool { return status < 200 || status == 204 || status == 304 }

// hasToken tells whether a comma-separated list contains the token.
func hasToken(list, token string) bool {
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		if strings.EqualFold(trim(item), token) {
			return true
		}
	}
	return false
}

// trim removes the white space that may surround a field's value.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// token marks the bytes of a field name or method (RFC 9110 section 5.6.2).
var token = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !token[s[i]] {
			return false
		}
	}
	return s != ""
}

// isValue tells whether s can stand in a header: no control characters but the tab.
func isValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// canonicalLines gives the names at the beginning of lines their canonical form, in place.
func canonicalLines(block []byte) {
	for len(block) > 0 {
		end := bytes.IndexByte(block, '\n') + 1
		if end == 0 {
			return
		}
		if colon := bytes.IndexByte(block[:end], ':'); colon > 0 {
			canonical(block[:colon])
		}
		block = block[end:]
	}
}

// canonical capitalises the name as net/http does ("x-FOO" becomes "X-Foo"); what is no name it leaves alone.
func canonical(name []byte) {
	for _, c := range name {
		if !token[c] {
			return
		}
	}
	upper := true
	for i, c := range name {
		switch {
		case upper && 'a' <= c && c <= 'z':
			name[i] = c - 'a' + 'A'
		case !upper && 'A' <= c && c <= 'Z':
			name[i] = c - 'A' + 'a'
		}
		upper = c == '-'
	}
}

// CanonicalName returns the form that a field name has in Response.Header.
func CanonicalName(name string) string {
	b := []byte(name)
	canonical(b)
	return string(b)
}
