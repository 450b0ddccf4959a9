package archive

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrNotInArchive is returned for a file that an archive does not hold.
var ErrNotInArchive = errors.New("archive: file is not in the archive")

// ScriptError is a fault in a script: a syntax error, or an import that cannot be resolved.
type ScriptError struct {
	File    string // URL of the file; empty when the fault has no place
	Line    int    // from 1; 0 when the fault has no place
	Column  int    // from 1, in characters
	Source  string // the text of the line
	Length  int    // how many characters of the line are at fault
	Message string
}

// Error gives file:line:column, the message, and below them the line with a caret under the fault.
func (e *ScriptError) Error() string {
	if e.File == "" {
		return e.Message
	}
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Message)
	}
	head := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	if strings.TrimSpace(e.Source) == "" {
		return head
	}
	text, indent := e.excerpt()
	return fmt.Sprintf("%s\n    %s\n    %s%s", head, text, indent, strings.Repeat("^", max(1, e.caretWidth(indent, text))))
}

const (
	excerptBefore = 60  // characters of a long line shown before the fault
	excerptWidth  = 120 // characters of a long line shown in all
)

// excerpt cuts a long (minified) line around the fault, and gives the blanks that lead to the caret.
func (e *ScriptError) excerpt() (text, indent string) {
	runes := []rune(e.Source)
	at := min(max(e.Column-1, 0), len(runes))
	from := 0
	if len(runes) > excerptWidth {
		from = max(0, at-excerptBefore)
	}
	to := min(len(runes), from+excerptWidth)
	blank := func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}
	return string(runes[from:to]), strings.Map(blank, string(runes[from:at]))
}

func (e *ScriptError) caretWidth(indent, text string) int {
	return min(e.Length, utf8.RuneCountInString(text)-utf8.RuneCountInString(indent))
}
