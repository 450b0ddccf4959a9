package options

import "strings"

// Error is a fault in the options as somebody wrote them; the process ends with k6's code for invalid
// configuration, 104.
type Error struct {
	Origin string // where the option stands, e.g. "script.js: options"; "" when layers only fail together
	Option string // "" when the fault is not in one option
	Err    error  // what was found and what would be right
}

// Error names the place, what was found and what would be right.
func (e *Error) Error() string {
	path := e.Option
	switch {
	case e.Origin != "" && path != "":
		path = e.Origin + "." + path
	case path == "":
		path = e.Origin
	}
	text := e.Err.Error()
	if path == "" {
		return text
	}
	if rest, ok := strings.CutPrefix(text, "["); ok {
		return path + "[" + rest // an element of it
	}
	return path + ": " + text
}

// Unwrap returns the fault without its place.
func (e *Error) Unwrap() error { return e.Err }
