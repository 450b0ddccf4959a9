package archive

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
)

// modelVersion is the version of k6 whose archives these are.
const modelVersion = "2.2.0"

// metadata is the file metadata.json.
type metadata struct {
	Type              string            `json:"type"`
	Options           json.RawMessage   `json:"options"`
	Filename          string            `json:"filename"`
	Pwd               string            `json:"pwd"`
	Env               map[string]string `json:"env"`
	CompatibilityMode string            `json:"compatibilityMode"`
	K6Version         string            `json:"k6version"`
	GOOS              string            `json:"goos"`
	Dependencies      map[string]string `json:"dependencies,omitempty"`
}

// Pack writes an archive in k6's tar format, which k6 can run. The same archive always gives the same
// bytes: files are sorted and carry no times.
func Pack(w io.Writer, a *Archive) error {
	if err := a.check(); err != nil {
		return err
	}
	meta, err := a.metadata()
	if err != nil {
		return err
	}
	p := &packer{tar: tar.NewWriter(w), dirs: map[string]bool{}, urls: map[string]string{}}
	if err := p.file(metadataName, meta); err != nil {
		return err
	}
	if err := p.file(dataName, a.Files[a.Filename]); err != nil {
		return err
	}
	for _, url := range slices.Sorted(maps.Keys(a.Files)) {
		if err := p.add(url, a); err != nil {
			return err
		}
	}
	if err := p.tar.Close(); err != nil {
		return fmt.Errorf("archive: pack: %w", err)
	}
	return nil
}

func (a *Archive) metadata() ([]byte, error) {
	m := metadata{
		Type: "js", Options: a.Options, Filename: a.Filename, Pwd: a.Pwd, Env: a.Env,
		CompatibilityMode: cmp.Or(a.CompatibilityMode, "extended"),
		K6Version:         cmp.Or(a.K6Version, modelVersion),
		GOOS:              cmp.Or(a.GOOS, runtime.GOOS),
		Dependencies:      map[string]string{"k6": "*"},
	}
	if len(m.Options) == 0 {
		m.Options = json.RawMessage("{}")
	}
	if m.Env == nil {
		m.Env = map[string]string{}
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("archive: metadata: %w", err)
	}
	return data, nil
}

// packer writes files and, once, the folders that lead to them.
type packer struct {
	tar  *tar.Writer
	dirs map[string]bool
	urls map[string]string // by their place
}

func (p *packer) add(url string, a *Archive) error {
	name, err := tarName(url)
	if err != nil {
		return err
	}
	if other, taken := p.urls[name]; taken {
		if bytes.Equal(a.Files[other], a.Files[url]) {
			return nil
		}
		return fmt.Errorf("archive: pack: %s and %s have the same place %s", other, url, name)
	}
	p.urls[name] = url
	if err := p.folders(name); err != nil {
		return err
	}
	if url == a.Filename {
		return p.header(&tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: dataName})
	}
	return p.file(name, a.Files[url])
}

func (p *packer) folders(name string) error {
	name, _, _ = strings.Cut(name, "?")
	dir := path.Dir(name)
	if dir == "." || p.dirs[dir] {
		return nil
	}
	if err := p.folders(dir); err != nil {
		return err
	}
	p.dirs[dir] = true
	return p.header(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755})
}

func (p *packer) file(name string, data []byte) error {
	if err := p.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
		return err
	}
	if _, err := io.Copy(p.tar, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("archive: pack %s: %w", name, err)
	}
	return nil
}

func (p *packer) header(h *tar.Header) error {
	h.ModTime = time.Unix(0, 0)
	if err := p.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("archive: pack %s: %w", h.Name, err)
	}
	return nil
}
