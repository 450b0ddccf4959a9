package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
)

// Archive is a test: the entry script, everything that it imports or opens, and how it is to be run.
type Archive struct {
	// Options are the script's options as consolidated where the archive was made.
	Options json.RawMessage
	// Filename is the URL of the entry script; Files holds it.
	Filename string
	// Pwd is the URL of the folder that open() and the entry script's imports start from.
	Pwd string
	// Env is what __ENV held, unless left out.
	Env map[string]string
	// Files holds every file by URL: file:///abs/path or https://host/path?query.
	Files map[string][]byte
	// CompatibilityMode is k6's setting of that name; empty means extended.
	CompatibilityMode string
	// K6Version is the version of k6 whose scripts the archive was made for; empty means the one that
	// hive takes as its model. k6 reads archives without a version as very old ones.
	K6Version string
	// GOOS is the system that the archive was made on; empty means this one.
	GOOS string
}

// ReadFile gives a file of the archive, so that an archive can be the [Files] of an [Input]. A file that
// is not there is [ErrNotInArchive]; nothing else is ever read.
func (a *Archive) ReadFile(_ context.Context, url string) ([]byte, error) {
	if data, ok := lookup(a.Files, url); ok {
		return data, nil
	}
	return nil, fmt.Errorf("%s: %w", url, ErrNotInArchive)
}

// Input says how to bundle the archive again.
func (a *Archive) Input(builtins map[string][]string) Input {
	return Input{Entry: a.Filename, Pwd: a.Pwd, Files: a, Builtins: builtins}
}

// Digest is the SHA-256 of the archive as [Pack] writes it, in hexadecimal: equal archives have equal
// digests wherever they were packed. It is empty for an archive that Pack refuses.
func (a *Archive) Digest() string {
	sum := sha256.New()
	if err := Pack(sum, a); err != nil {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// DigestOf is the digest of an archive that is already packed.
func DigestOf(packed []byte) string {
	sum := sha256.Sum256(packed)
	return hex.EncodeToString(sum[:])
}

// home is the part of a path that tells who made the archive.
var home = regexp.MustCompile(`^(file:///(?:[A-Za-z]:/)?(?:home|Users)/)[^/]+(/|$)`)

func anonymous(url string) string { return home.ReplaceAllString(url, "${1}nobody${2}") }

// Anonymous gives the archive without the names of users in its paths, as k6 makes them: /home/ann/t.js
// becomes /home/nobody/t.js. Scripts that open files by the old paths find them all the same.
func (a *Archive) Anonymous() (*Archive, error) {
	b := *a
	b.Filename, b.Pwd = anonymous(a.Filename), anonymous(a.Pwd)
	b.Env = maps.Clone(a.Env)
	b.Files = make(map[string][]byte, len(a.Files))
	for url, data := range a.Files {
		name := anonymous(url)
		if other, ok := b.Files[name]; ok && string(other) != string(data) {
			return nil, fmt.Errorf("archive: files of two users would both be called %s", name)
		}
		b.Files[name] = data
	}
	return &b, nil
}

// lookup finds a file by its URL, or by the one that it has in an archive.
func lookup(files map[string][]byte, url string) ([]byte, bool) {
	for _, name := range []string{url, anonymous(url), archived(url)} {
		if data, ok := files[name]; ok {
			return data, true
		}
	}
	return nil, false
}

// check says what an archive lacks.
func (a *Archive) check() error {
	if a.Filename == "" {
		return errors.New("archive: the entry script is not named")
	}
	if _, ok := a.Files[a.Filename]; !ok {
		return fmt.Errorf("archive: the entry script %s is not among the files", a.Filename)
	}
	return nil
}
