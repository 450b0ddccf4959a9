package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
)

// Recorder is open() while the init code of a test runs for the first time: it reads files and
// remembers them. It is safe for concurrent use.
type Recorder struct {
	pwd   string
	files Files

	mu     sync.Mutex
	opened map[string][]byte // by URL
}

// NewRecorder makes a Recorder. Relative paths start from the folder with the URL pwd; files gives
// the contents, [Disk] or an *[Archive].
func NewRecorder(pwd string, files Files) *Recorder {
	return &Recorder{pwd: pwd, files: files, opened: map[string][]byte{}}
}

// Open gives the file at a path as the script wrote it: relative, absolute or a file:// URL.
// The contents are shared and must not be changed.
func (r *Recorder) Open(path string) ([]byte, error) {
	url, err := openURL(r.pwd, path)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if data, ok := r.opened[url]; ok {
		return data, nil
	}
	data, err := r.files.ReadFile(context.Background(), url)
	if errors.Is(err, ErrNotInArchive) {
		return nil, fmt.Errorf("open(%q): the archive has no file %s", path, url)
	}
	if err != nil {
		return nil, fmt.Errorf("open(%q): %w", path, plainPathError(err))
	}
	r.opened[url] = data
	return data, nil
}

// Files gives what was opened so far, by URL.
func (r *Recorder) Files() map[string][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.opened)
}

// Opened gives the open() of every later run of the init code: it knows only what was opened so far.
func (r *Recorder) Opened() *Opener { return NewOpener(r.pwd, r.Files()) }

// Opener is open() over files that are already in memory. Files that the first run of the init code
// did not open are refused, so that every VU, on every node, sees the same ones.
type Opener struct {
	pwd   string
	files map[string][]byte
}

// NewOpener makes an Opener over files by URL; relative paths start from the folder pwd.
func NewOpener(pwd string, files map[string][]byte) *Opener { return &Opener{pwd: pwd, files: files} }

// Open gives the file at a path as the script wrote it. The contents are shared and must not be changed.
func (o *Opener) Open(path string) ([]byte, error) {
	url, err := openURL(o.pwd, path)
	if err != nil {
		return nil, err
	}
	data, ok := lookup(o.files, url)
	if !ok {
		return nil, fmt.Errorf("open(%q): %s was not opened when the init code ran for the first time (with __VU 0), "+
			"so it is not part of the test: open the same files every time", path, url)
	}
	return data, nil
}

// openURL gives the URL that a path in open() means.
func openURL(pwd, path string) (string, error) {
	switch {
	case path == "":
		return "", errors.New("open() needs the name of a file; it is empty")
	case strings.HasPrefix(path, "file://"):
		return cleanURL(path)
	case strings.HasPrefix(pwd, "https://"):
		return "", fmt.Errorf("open(%q): a script that was loaded over https has no local files", path)
	}
	return join(pwd, path)
}
