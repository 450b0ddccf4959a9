package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/evanw/esbuild/pkg/api"
)

// maxErrors is how many faults of a script are told at once.
const maxErrors = 10

// scriptErrors makes esbuild's messages ours.
func (l *loader) scriptErrors(messages []api.Message) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	var all []error
	for _, m := range messages[:min(len(messages), maxErrors)] {
		all = append(all, l.scriptError(m))
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

func (l *loader) scriptError(m api.Message) *ScriptError {
	e := &ScriptError{Message: l.explain(m.Text)}
	if m.Location == nil {
		return e
	}
	line := m.Location.LineText
	from := min(m.Location.Column, len(line))
	to := min(from+m.Location.Length, len(line))
	e.File, e.Line, e.Source = plainName(m.Location.File), m.Location.Line, line
	e.Column = utf8.RuneCountInString(line[:from]) + 1
	e.Length = utf8.RuneCountInString(line[from:to])
	return e
}

// noExport is esbuild's message for a name that a module does not export.
var noExport = regexp.MustCompile(`^No matching export in "(.+)" for import "(.+)"$`)

// explain says in our terms what esbuild says in its own.
func (l *loader) explain(text string) string {
	m := noExport.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	module := plainName(m[1])
	names, ok := l.builtins[module]
	if !ok {
		return fmt.Sprintf("%s does not export %q", module, m[2])
	}
	names = slices.Sorted(slices.Values(names))
	return fmt.Sprintf("the module %q does not export %q, which is undefined; it has %s", module, m[2], strings.Join(names, ", "))
}

// allowAbsent makes the names that the script imports from the host's modules, and that these do not have, undefined with
// a warning, as they are in k6: a script that never uses them runs. It says whether there are any.
func (l *loader) allowAbsent(messages []api.Message) bool {
	for _, m := range messages {
		found := noExport.FindStringSubmatch(m.Text)
		if found == nil {
			continue
		}
		module, name := plainName(found[1]), found[2]
		if _, ours := l.builtins[module]; !ours {
			continue
		}
		if l.absent == nil {
			l.absent = map[string][]string{}
		}
		if !slices.Contains(l.absent[module], name) {
			l.absent[module] = append(l.absent[module], name)
		}
		l.notes = append(l.notes, l.scriptError(m).Error())
	}
	return l.absent != nil
}

// plainPathError shortens the operating system's errors to what a script author needs.
func plainPathError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) && errors.Is(p.Err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s (names are exact, with their extension)", p.Path)
	}
	return err
}

// warnings gives what esbuild noticed in the author's own files, and what the engine does differently.
func (l *loader) warnings(messages []api.Message) []string {
	var all []string
	for _, m := range messages {
		if m.Location == nil || !strings.HasPrefix(plainName(m.Location.File), "file:") || strings.Contains(m.Text, `"import.meta"`) {
			continue
		}
		all = append(all, l.scriptError(m).Error())
	}
	sources := l.sources()
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		all = append(all, unicodeClasses(name, sources[name])...)
	}
	return all
}
