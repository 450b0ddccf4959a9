package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func sample() *Archive {
	return &Archive{
		Options:           json.RawMessage(`{"vus": 2}`),
		Filename:          "file:///home/ann/t/s%20%C3%BC.js",
		Pwd:               "file:///home/ann/t",
		Env:               map[string]string{"A": "b"},
		CompatibilityMode: "extended",
		K6Version:         "2.2.0",
		GOOS:              "linux",
		Files: map[string][]byte{
			"file:///home/ann/t/s%20%C3%BC.js":              []byte("export default function () {}"),
			"file:///home/ann/t/data/x.bin":                 {0, 1, 2},
			"file:///home/ann/t/empty":                      {},
			"https://host:1234/lib/m%20.js?a=b&c=../d/e%20": []byte("export const m = 1"),
		},
	}
}

func pack(t testing.TB, a *Archive) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Pack(&b, a); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(data []byte) (*Archive, error) { return Read(bytes.NewReader(data), DefaultLimits()) }

// same compares archives; empty and missing files differ, nil and empty contents do not.
func same(a, b *Archive) bool {
	x, y := *a, *b
	x.Files, y.Files, x.Options, y.Options = nil, nil, nil, nil
	var ox, oy any
	if json.Unmarshal(a.Options, &ox) != nil || json.Unmarshal(b.Options, &oy) != nil {
		return false
	}
	return reflect.DeepEqual(x, y) && reflect.DeepEqual(ox, oy) && maps.EqualFunc(a.Files, b.Files, bytes.Equal)
}

func TestPackReadRoundTrip(t *testing.T) {
	want := sample()
	got, err := read(pack(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if !same(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got.Digest() != want.Digest() || want.Digest() != DigestOf(pack(t, want)) || len(want.Digest()) != 64 {
		t.Errorf("digests %s, %s, of the bytes %s", got.Digest(), want.Digest(), DigestOf(pack(t, want)))
	}
}

func TestPackedLayout(t *testing.T) {
	var names []string
	r := tar.NewReader(bytes.NewReader(pack(t, sample())))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, string(h.Typeflag)+" "+h.Name+" "+h.Linkname)
	}
	want := []string{
		"0 metadata.json ", "0 data ", "5 file/ ", "5 file/home/ ", "5 file/home/ann/ ", "5 file/home/ann/t/ ", "5 file/home/ann/t/data/ ",
		"0 file/home/ann/t/data/x.bin ", "0 file/home/ann/t/empty ", "1 file/home/ann/t/s ü.js data",
		"5 https/ ", "5 https/host:1234/ ", "5 https/host:1234/lib/ ", "0 https/host:1234/lib/m .js?a=b&c=../d/e  ",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got  %q\nwant %q", names, want)
	}
}

func TestPackRefuses(t *testing.T) {
	for want, change := range map[string]func(*Archive){
		"not among the files":      func(a *Archive) { delete(a.Files, a.Filename) },
		"is not named":             func(a *Archive) { a.Filename = "" },
		"neither a file nor an ht": func(a *Archive) { a.Files["http://x/y"] = nil },
		"have the same place":      func(a *Archive) { a.Files["https://x/a%20b"], a.Files["https://x/a b"] = []byte("1"), []byte("2") },
		"not plain":                func(a *Archive) { a.Files["https://x/a/%2e%2e/../../y"] = nil },
	} {
		a := sample()
		change(a)
		if err := Pack(io.Discard, a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if d := a.Digest(); d != "" {
			t.Errorf("%s: digest %s of what cannot be packed", want, d)
		}
	}
}

// entry is one thing in a tar file made by hand.
type entry struct {
	header tar.Header
	data   string
}

func file(name, data string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data))}, data}
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const goodMetadata = `{"type":"js","options":{},"filename":"file:///s.js","pwd":"file:///","env":{}}`

func TestReadRefuses(t *testing.T) {
	meta, script := file("metadata.json", goodMetadata), file("data", "x")
	link := entry{header: tar.Header{Typeflag: tar.TypeLink, Name: "file/s.js", Linkname: "data"}}
	special := func(kind byte, name, target string) entry {
		return entry{header: tar.Header{Typeflag: kind, Name: name, Linkname: target}}
	}
	good := tarOf(t, meta, script, link, file("file/a", "12345"))
	if _, err := read(good); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	tests := []struct {
		what string
		data []byte
		want string
	}{
		{"nothing", nil, "cut after 0 bytes"},
		{"no tar", bytes.Repeat([]byte("export default 1\n"), 100), "not a tar file"},
		{"an absolute path", tarOf(t, meta, script, link, file("/etc/passwd", "x")), `"/etc/passwd" is absolute`},
		{"a path that leads out", tarOf(t, meta, script, link, file("file/../../x", "x")), `"file/../../x" is not plain`},
		{"a path that leads out of https", tarOf(t, meta, script, link, file("https/h/../x", "x")), "is not plain"},
		{"a path with two names", tarOf(t, meta, script, link, file("file//a", "x")), "is not plain"},
		{"a symbolic link", tarOf(t, meta, script, special(tar.TypeSymlink, "file/s.js", "data")), `"file/s.js" is of type '2'`},
		{"a hard link elsewhere", tarOf(t, meta, script, special(tar.TypeLink, "file/s.js", "/etc/passwd")), `links to "/etc/passwd"`},
		{"a hard link of another file", tarOf(t, meta, script, link, special(tar.TypeLink, "file/a", "data")), "file:///a is a link"},
		{"a device", tarOf(t, meta, script, link, special(tar.TypeChar, "file/a", "")), "is of type '3'"},
		{"a file twice", tarOf(t, meta, script, link, file("file/a", "1"), file("file/a", "2")), `"file/a" is in the archive twice`},
		{"a URL twice", tarOf(t, meta, script, link, file("https/h/a", "1"), file("https/h/a?", "2")), "twice"},
		{"a place that is not one", tarOf(t, meta, script, link, file("files/a", "1")), `"files/a" is not a place in an archive`},
		{"no metadata", tarOf(t, script, link), "no metadata.json"},
		{"metadata that are no JSON", tarOf(t, file("metadata.json", "{"), script, link), "metadata.json: "},
		{"another type of test", tarOf(t, file("metadata.json", `{"type":"py"}`), script), `of type "py"`},
		{"an entry script that is no URL", tarOf(t, file("metadata.json", `{"type":"js","filename":"s.js"}`), script), "filename"},
		{"no entry script", tarOf(t, meta), "entry script file:///s.js is missing"},
		{"two entry scripts", tarOf(t, meta, script, file("file/s.js", "y")), "the archive was changed"},
		{"cut in a file", good[:len(good)-2*512-100], "cut after"},
		{"cut between files", good[:len(good)-1024], "its end is missing"},
		{"more after the end", append(slices.Clone(good), good...), "data follow after the end"},
		{"a changed header", append(append(slices.Clone(good[:100]), 'x'), good[101:]...), "at byte 512"},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			_, err := read(test.data)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// sparse is a tar entry of 1 TiB that holds nothing, in the old GNU format.
func sparse(name string, size string) []byte {
	block := make([]byte, 512)
	copy(block, name)
	copy(block[100:], "0000644\x00")
	copy(block[108:], "0000000\x000000000\x00")
	copy(block[124:], "00000000000\x00")
	copy(block[136:], "00000000000\x00")
	block[156] = 'S'
	copy(block[257:], "ustar  \x00")
	copy(block[386:], size+"\x0000000000000\x00") // one piece: at the end, empty
	copy(block[483:], size+"\x00")
	sum := 8 * int(' ')
	for _, c := range block {
		sum += int(c)
	}
	copy(block[148:], []byte{byte('0' + sum>>15&7), byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
	return block
}

func TestReadRefusesWhatUnpacksToMore(t *testing.T) {
	bomb := sparse("file/zeros", "77777777777")
	if h, err := tar.NewReader(bytes.NewReader(bomb)).Next(); err != nil || h.Size != 1<<33-1 {
		t.Fatalf("the test's own bomb: %v, %v", h, err)
	}
	for want, limits := range map[string]Limits{"is of type 'S'": {Bytes: 1 << 40, Files: 9}} {
		if _, err := Read(bytes.NewReader(bomb), limits); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestReadKeepsToItsLimits(t *testing.T) {
	data := pack(t, sample())
	tests := map[string]Limits{
		"larger than 600 bytes": {Bytes: 600, Files: 100},
		"more than 3 files":     {Bytes: 1 << 20, Files: 3},
	}
	for want, limits := range tests {
		if _, err := Read(bytes.NewReader(data), limits); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", limits, err, want)
		}
	}
	endless := io.MultiReader(bytes.NewReader(data), zeros{})
	if _, err := Read(endless, Limits{Bytes: 1 << 20, Files: 100}); err == nil || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("endless zeros: error %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestReadWhatK6Packed reads an archive that k6 v2.2.0 wrote.
func TestReadWhatK6Packed(t *testing.T) {
	data, err := os.ReadFile("testdata/k6.tar")
	if err != nil {
		t.Fatal(err)
	}
	a, err := read(data)
	if err != nil {
		t.Fatal(err)
	}
	files := slices.Sorted(maps.Keys(a.Files))
	want := []string{"file:///home/nobody/t/data/x.txt", "file:///home/nobody/t/data/y.bin", "file:///home/nobody/t/lib/a.js", "file:///home/nobody/t/lib/b.ts", "file:///home/nobody/t/s.js"}
	if !slices.Equal(files, want) {
		t.Errorf("files %q\nwant  %q", files, want)
	}
	if a.Filename != want[4] || a.Pwd != "file:///home/nobody/t" || a.K6Version != "2.2.0" || a.Env["FOO"] != "bar" {
		t.Errorf("archive %+v", a)
	}
	var options struct{ VUs, Iterations int }
	if err := json.Unmarshal(a.Options, &options); err != nil || options.VUs != 2 || options.Iterations != 3 {
		t.Errorf("options %s, %v", a.Options, err)
	}
	b, err := Build(t.Context(), a.Input(hostModules()))
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Sources) != 3 || b.Pwd != a.Pwd {
		t.Errorf("sources %v, pwd %s", b.Sources, b.Pwd)
	}
	open := NewOpener(a.Pwd, a.Files)
	for _, path := range []string{"data/x.txt", "./data/../data/x.txt", "/home/alice_c/t/data/x.txt", "file:///home/nobody/t/data/x.txt"} {
		if got, err := open.Open(path); err != nil || string(got) != "hello\n" {
			t.Errorf("open(%q): %q, %v", path, got, err)
		}
	}
}

func TestBuildFromAnArchiveReadsNothingElse(t *testing.T) {
	a := sample()
	a.Files[a.Filename] = []byte(`import "/etc/hostname"`)
	_, err := Build(t.Context(), a.Input(nil))
	if err == nil || !strings.Contains(err.Error(), "file:///etc/hostname: archive: file is not in the archive") {
		t.Errorf("error %v", err)
	}
}

func TestArchivedURLsAreFoundByOthers(t *testing.T) {
	a := sample()
	a.Files["https://h/x%2Cy?q=%2b+%20"] = []byte("1")
	got, err := read(pack(t, a))
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"https://h/x%2Cy?q=%2b+%20", "https://h/x,y?q=++%20"} {
		if data, err := got.ReadFile(t.Context(), url); err != nil || string(data) != "1" {
			t.Errorf("%s: %q, %v", url, data, err)
		}
	}
}

func TestAnonymous(t *testing.T) {
	a, err := sample().Anonymous()
	if err != nil {
		t.Fatal(err)
	}
	if a.Filename != "file:///home/nobody/t/s%20%C3%BC.js" || a.Pwd != "file:///home/nobody/t" || bytes.Contains(pack(t, a), []byte("ann/")) {
		t.Errorf("archive %+v", a)
	}
	if _, err := a.ReadFile(t.Context(), "file:///home/ann/t/data/x.bin"); err != nil {
		t.Errorf("by the old name: %v", err)
	}
	b := sample()
	b.Files["file:///home/bob/t/empty"] = []byte("not empty")
	if _, err := b.Anonymous(); err == nil || !strings.Contains(err.Error(), "file:///home/nobody/t/empty") {
		t.Errorf("two users: error %v", err)
	}
}

func TestBundleToArchive(t *testing.T) {
	dir := write(t, map[string]string{"s.js": `import "./a.js"; open("./d.txt")`, "a.js": "", "d.txt": "data"})
	b := build(t, Input{Entry: "s.js", Dir: dir})
	rec := NewRecorder(b.Pwd, Disk{})
	if _, err := rec.Open("./d.txt"); err != nil {
		t.Fatal(err)
	}
	a, err := read(pack(t, b.Archive(rec.Files())))
	if err != nil {
		t.Fatal(err)
	}
	again := build(t, a.Input(nil))
	if !bytes.Equal(again.Code, b.Code) || !bytes.Equal(again.Map, b.Map) {
		t.Error("the archive's bundle differs from the one that it was made of")
	}
	if got, err := NewOpener(a.Pwd, a.Files).Open("./d.txt"); err != nil || string(got) != "data" {
		t.Errorf("opened %q, %v", got, err)
	}
}

func TestRecorder(t *testing.T) {
	dir := write(t, map[string]string{"t/s.js": "", "t/x.txt": "x", "up.txt": "up", "late.txt": ""})
	rec := NewRecorder(fileURL(dir)+"/t", Disk{})
	for path, want := range map[string]string{"x.txt": "x", "./x.txt": "x", "../up.txt": "up", dir + "/up.txt": "up", fileURL(dir) + "/up.txt": "up"} {
		if got, err := rec.Open(path); err != nil || string(got) != want {
			t.Errorf("open(%q): %q, %v", path, got, err)
		}
	}
	if len(rec.Files()) != 2 {
		t.Errorf("files %v, want two", rec.Files())
	}
	later := rec.Opened()
	if got, err := later.Open("x.txt"); err != nil || string(got) != "x" {
		t.Errorf("later: %q, %v", got, err)
	}
	for path, want := range map[string]string{
		"":              "it is empty",
		"nope.txt":      "there is no file " + dir + "/t/nope.txt",
		"..":            "is a directory, not a file",
		"/dev/zero":     "is no regular file",
		"file://host/x": `names the host "host"`,
	} {
		if _, err := rec.Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("open(%q): error %v, want %q", path, err, want)
		}
	}
	if _, err := later.Open("../late.txt"); err == nil || !strings.Contains(err.Error(), "was not opened when the init code ran for the first time") {
		t.Errorf("a file that was not opened at first: error %v", err)
	}
	if _, err := NewRecorder("https://host/", Disk{}).Open("x"); err == nil || !strings.Contains(err.Error(), "over https has no local files") {
		t.Errorf("from https: error %v", err)
	}
	if _, err := NewRecorder(sample().Pwd, sample()).Open("nope"); err == nil || !strings.Contains(err.Error(), "the archive has no file file:///home/ann/t/nope") {
		t.Errorf("from an archive: error %v", err)
	}
}

func TestMissingFileIsASentinel(t *testing.T) {
	if _, err := sample().ReadFile(t.Context(), "file:///x"); !errors.Is(err, ErrNotInArchive) {
		t.Errorf("error %v", err)
	}
}

func FuzzRead(f *testing.F) {
	k6, err := os.ReadFile("testdata/k6.tar")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k6)
	f.Add(pack(f, sample()))
	f.Add(tarOf(f, file("metadata.json", goodMetadata), file("data", "x")))
	f.Add(sparse("file/zeros", "77777777777"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Read(bytes.NewReader(data), Limits{Bytes: 1 << 20, Files: 100})
		if err != nil {
			return
		}
		total := 0
		for url, content := range a.Files {
			if clean, err := cleanURL(url); err != nil || clean != url || strings.Contains(url, "/../") && !strings.Contains(url, "?") {
				t.Errorf("file %q", url)
			}
			total += len(content)
		}
		if total > 2*len(data) {
			t.Errorf("%d bytes unpacked to %d", len(data), total)
		}
		again, err := read(pack(t, a))
		if err != nil || again.Digest() != a.Digest() {
			t.Errorf("packed again: %v", err)
		}
	})
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"./a.js", "../../../x", "/abs", "https://h/x?y#z", "file:///a/../b", "k6/http", "a\x00b", "%2e%2e/x", "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		for _, base := range []string{"file:///home/ann", "https://host/a/"} {
			url, err := resolve(spec, base+"/s.js", base)
			if err != nil {
				continue
			}
			if clean, err := cleanURL(url); err != nil || clean != url {
				t.Errorf("%q in %s gave %q, cleaned %q, %v", spec, base, url, clean, err)
			}
		}
	})
}
