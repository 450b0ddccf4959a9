package archive

import (
	"context"
	"net/http"
)

// Stdin is the entry name that stands for a script read from standard input.
const Stdin = "-"

// Input says which script to bundle and where its files come from.
type Input struct {
	// Entry is the script: a path, a file:// or https:// URL, or [Stdin].
	Entry string
	// Source is the text of the script when Entry is [Stdin].
	Source []byte
	// Dir is the directory that a relative Entry starts from, and that a script from standard input
	// imports from. Empty means the working directory of the process.
	Dir string
	// Pwd is the base URL of the entry script's own imports. Empty means the folder of Entry. It is
	// set when an [Archive] says so.
	Pwd string
	// Files reads what the script and its imports are made of. Nil means the disk for file URLs and
	// HTTP for https URLs; an *[Archive] works too, and then nothing outside of it is read.
	Files Files
	// HTTP fetches https modules when Files is nil. Nil means [http.DefaultClient].
	HTTP *http.Client
	// Builtins names the host's modules and, for each, its named exports.
	Builtins map[string][]string
}

// Files reads a file by its URL: file:///abs/path or https://host/path.
type Files interface {
	ReadFile(ctx context.Context, url string) ([]byte, error)
}

// Bundle is a script and all of its imports as one body of code.
type Bundle struct {
	// Name is the URL of the entry script, file:///abs/script.js.
	Name string
	// Pwd is the URL of the folder that open() and the entry script's imports start from.
	Pwd string
	// Code is a CommonJS function body that uses module, exports and require.
	Code []byte
	// Map is the source map of Code; its sources are the URLs of the authors' files.
	Map []byte
	// Async says that the script uses top-level await: Code is then the body of an async function,
	// and the exports are complete when its promise is fulfilled.
	Async bool
	// Sources holds every file that went into Code, by URL.
	Sources map[string][]byte
	// Warnings are things that work otherwise than the author may think.
	Warnings []string
}

// Archive gives the bundle's sources, together with the files that the script opened, as an archive.
// Options, environment and the rest of the metadata are the caller's to fill in.
func (b *Bundle) Archive(opened map[string][]byte) *Archive {
	a := &Archive{Filename: b.Name, Pwd: b.Pwd, Files: make(map[string][]byte, len(b.Sources)+len(opened))}
	for url, data := range opened {
		a.Files[url] = data
	}
	for url, data := range b.Sources {
		a.Files[url] = data
	}
	return a
}
