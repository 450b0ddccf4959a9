package archive

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// site is an https server that remembers what it was asked for.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newSite(t testing.TB, files map[string]string) *site {
	s := &site{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.RequestURI())
		s.mu.Unlock()
		text, ok := files[r.URL.RequestURI()]
		switch {
		case !ok:
			http.NotFound(w, r)
		case strings.HasPrefix(text, "-> "):
			http.Redirect(w, r, text[3:], http.StatusFound)
		default:
			w.Write([]byte(text))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestImportOverHTTPS(t *testing.T) {
	s := newSite(t, map[string]string{
		"/lib/main.js?v=2&_k6=1": `import { b } from "../b.ts"; import { c } from "/c.js"; import { get } from "k6/http"; export const r = b + c + get + import.meta.resolve("./x")`,
		"/b.ts":                  `export const b: string = "b"`,
		"/c.js?_k6=1":            `-> /moved/c.js`,
		"/moved/c.js":            `export const c = "c"`,
	})
	dir := write(t, map[string]string{"script.js": `import { r } from "` + s.URL + `/lib/main.js?v=2"; export default r`})
	b := build(t, Input{Entry: "script.js", Dir: dir, HTTP: s.Client()})
	if got, err := run(t, b, "exports.default"); err != nil || got != "bck6/http.get"+s.URL+"/lib/x" {
		t.Errorf("got %v, %v", got, err)
	}
	slices.Sort(s.asked)
	want := []string{"/b.ts", "/b.ts?_k6=1", "/c.js?_k6=1", "/lib/main.js?v=2&_k6=1", "/moved/c.js"}
	if !slices.Equal(s.asked, want) {
		t.Errorf("asked for %q, want %q", s.asked, want)
	}
	if string(b.Sources[s.URL+"/b.ts"]) != `export const b: string = "b"` || len(b.Sources) != 4 {
		t.Errorf("sources %v", b.Sources)
	}
}

func TestEntryOverHTTPS(t *testing.T) {
	s := newSite(t, map[string]string{"/t/s.js": `import "./a.js"; export default 1`, "/t/a.js": ""})
	b := build(t, Input{Entry: s.URL + "/t/s.js", HTTP: s.Client()})
	if b.Name != s.URL+"/t/s.js" || b.Pwd != s.URL+"/t/" {
		t.Errorf("name %s, pwd %s", b.Name, b.Pwd)
	}
}

func TestImportOverHTTPSErrors(t *testing.T) {
	s := newSite(t, map[string]string{
		"/file.js":  `import "file:///etc/hostname.js"`,
		"/plain.js": `-> http://localhost/x.js`,
	})
	for path, want := range map[string]string{
		"/file.js":  "was loaded over https and may not use the local file",
		"/plain.js": "which is not https",
		"/none.js":  "script.js:1:8: cannot import \"" + s.URL + "/none.js\": get " + s.URL + "/none.js: the server answered 404 Not Found",
	} {
		dir := write(t, map[string]string{"script.js": `import "` + s.URL + path + `"`})
		_, err := Build(t.Context(), Input{Entry: "script.js", Dir: dir, HTTP: s.Client()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}
