package httpclient

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
	"testing"
)

func TestEncodeDecode(t *testing.T) {
	text := []byte(strings.Repeat("a text that repeats itself. ", 1000))
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "gzip, br", "ZSTD , gzip,deflate"} {
		t.Run(encoding, func(t *testing.T) {
			for _, body := range [][]byte{text, nil} {
				packed, err := Encode(encoding, body)
				if err != nil || len(body) > 0 && len(packed) >= len(body) {
					t.Fatalf("%d bytes packed to %d, %v", len(body), len(packed), err)
				}
				for range 2 { // the second with a decoder that has been used
					got, err := Decode(encoding, packed)
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d bytes came back of %d, %v", len(got), len(body), err)
					}
				}
				if got, err := Decode(encoding, packed[:len(packed)/2]); err == nil || code(err) != ErrorDecompression {
					t.Errorf("half of it gave %d bytes, %v", len(got), err)
				}
			}
		})
	}
}

func TestDecode(t *testing.T) {
	var bare bytes.Buffer
	w, _ := flate.NewWriter(&bare, 9)
	_, _ = io.WriteString(w, "bare")
	_ = w.Close()
	for _, tt := range []struct {
		name, encoding, body string
		want                 string
		text                 string
	}{
		{"none", "", "abc", "abc", ""},
		{"identity", "identity", "abc", "abc", ""},
		{"unknown", "rot13", "abc", "abc", ""},
		{"bare deflate", "deflate", bare.String(), "bare", ""},
		{"short", "gzip", "abc", "", "error decompressing response body (unexpected EOF)"},
		{"empty gzip", "gzip", "", "", "error decompressing response body (EOF)"},
		{"empty deflate", "deflate", "", "", "error decompressing response body (EOF)"},
		{"no gzip", "gzip", "plain text is not it", "", "error decompressing response body (gzip: invalid header)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Decode(tt.encoding, []byte(tt.body))
			if message(err) != tt.text || tt.text != "" && code(err) != ErrorDecompression {
				t.Errorf("error %v, want %q", err, tt.text)
			}
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEncodeUnknown(t *testing.T) {
	_, err := Encode("gzip, foo", nil)
	if want := "unknown compression algorithm foo, supported algorithms are [gzip deflate zstd br]"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

// A decoder reads on as it is read from: what it has need not be complete.
func TestDecoderStreams(t *testing.T) {
	packed, err := Encode("gzip", bytes.Repeat([]byte("0123456789"), 100_000))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewDecoder("gzip", bytes.NewReader(packed[:len(packed)-1]))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := make([]byte, 10)
	if _, err := io.ReadFull(r, first); err != nil || string(first) != "0123456789" {
		t.Errorf("%q, %v", first, err)
	}
	if n, err := io.Copy(io.Discard, r); code(err) != ErrorDecompression {
		t.Errorf("%d bytes more, %v", n, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd"} {
		packed, err := Encode(encoding, []byte("hello, hello, hello"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoding, packed)
	}
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		r, err := NewDecoder(encoding, bytes.NewReader(body))
		if err == nil {
			_, err = io.CopyN(io.Discard, r, 1<<20)
			_ = r.Close()
		}
		if err != nil && err != io.EOF && code(err) != ErrorDecompression {
			t.Errorf("error %v has no code", err)
		}
	})
}
