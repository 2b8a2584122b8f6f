package providers

import (
	"regexp"
	"slices"
	"strings"
)

// FieldNames maps the names of a provider's own fields, in lower case, to the paths of Kontor's request fields that
// they are filled from.
type FieldNames map[string]string

var (
	// leading is the word that a message begins with, also behind "property" or "field".
	leading = regexp.MustCompile(`^\s*(?:(?i:property|field|parameter|body|query)\s+)?([A-Za-z][A-Za-z0-9_.\[\]-]*)`)
	// quoted is a word in quotation marks.
	quoted = regexp.MustCompile("[\"'`“]([A-Za-z][A-Za-z0-9_.\\[\\]-]*)[\"'`”]")
)

// In gives the paths of the fields that messages about refused input name: by their first word, as in "name is
// required", or in quotation marks. Other words of a sentence are none: "address" may mean anything. Nothing of the
// messages goes on.
func (names FieldNames) In(messages ...string) []string {
	var paths []string
	for _, message := range messages {
		var words []string
		if match := leading.FindStringSubmatch(message); match != nil {
			words = append(words, match[1])
		}
		for _, match := range quoted.FindAllStringSubmatch(message, -1) {
			words = append(words, match[1])
		}
		for _, word := range words {
			if path, ok := names.path(word); ok && !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// path finds the path of a field, or else of the one that it is in.
func (names FieldNames) path(word string) (string, bool) {
	for word = strings.ToLower(word); word != ""; word = word[:max(strings.LastIndexAny(word, ".["), 0)] {
		if path, ok := names[word]; ok {
			return path, true
		}
	}
	return "", false
}
