package archive

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// unicodeClass finds \p{…} in a regular expression literal, or in a string that may become one.
var unicodeClass = regexp.MustCompile(`\\[pP]\{[A-Za-z_0-9=]+\}`)

// unicodeClasses warns of \p{…}: the engine takes it as the letter p and reports no error.
func unicodeClasses(file string, source []byte) []string {
	if !strings.Contains(string(source), `p{`) && !strings.Contains(string(source), `P{`) {
		return nil
	}
	var all []string
	n := 0
	for line := range strings.Lines(string(source)) {
		n++
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "//") || strings.HasPrefix(text, "*") {
			continue
		}
		if at := unicodeClass.FindStringIndex(line); at != nil {
			all = append(all, (&ScriptError{
				File: file, Line: n, Column: utf8.RuneCountInString(line[:at[0]]) + 1,
				Source: strings.TrimRight(line, "\r\n"), Length: at[1] - at[0],
				Message: fmt.Sprintf("regular expressions do not know %s here: it never matches", line[at[0]:at[1]]),
			}).Error())
		}
	}
	return all
}
