package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The words of wants, beside plain values:
//
//	$nonEmpty       anything but nothing
//	$absent         nothing: missing, null, "", 0, false, [] or {}
//	$decimal        a string with a decimal number in plain notation
//	$time           an instant in RFC 3339
//	$date           a day, as in 2020-05-26
//	$regex:PATTERN  a string that the pattern matches as a whole
//
// An object matches when each of its fields does; what it does not name may be there. A list matches one of the same
// length, element by element. An object with one of these fields matches a list instead:
//
//	{$each: W}      a list that is not empty, and whose every element matches W
//	{$contains: [W, ...]}   a list that has, for each W, an element that matches
//	{$length: N}    a list of N elements

var decimalPattern = regexp.MustCompile(`^-?[0-9]+([.][0-9]+)?$`)

// mismatches tells where got is not what is wanted. Both are decoded JSON.
func mismatches(want, got any, at string) []string {
	wrong := func(format string, args ...any) []string { return []string{at + ": " + fmt.Sprintf(format, args...)} }
	switch w := want.(type) {
	case map[string]any:
		if len(w) == 1 {
			for word, argument := range w {
				if strings.HasPrefix(word, "$") {
					return listMismatches(word, argument, got, at)
				}
			}
		}
		object, ok := got.(map[string]any)
		if !ok && got != nil {
			return wrong("got %v, want an object", got)
		}
		var all []string
		for name, inner := range w {
			all = append(all, mismatches(inner, object[name], at+"."+name)...)
		}
		return all
	case []any:
		list, _ := got.([]any)
		if len(list) != len(w) {
			return wrong("got %d elements, want %d: %v", len(list), len(w), got)
		}
		var all []string
		for i := range w {
			all = append(all, mismatches(w[i], list[i], fmt.Sprintf("%s[%d]", at, i))...)
		}
		return all
	case string:
		if strings.HasPrefix(w, "$") {
			if !wordMatches(w, got) {
				return wrong("got %v, want %s", got, w)
			}
			return nil
		}
	}
	if empty(want) && empty(got) || fmt.Sprint(want) == fmt.Sprint(got) && isString(want) == isString(got) {
		return nil
	}
	return wrong("got %v, want %v", got, want)
}

func listMismatches(word string, argument, got any, at string) []string {
	list, _ := got.([]any)
	switch word {
	case "$length":
		if fmt.Sprint(len(list)) != fmt.Sprint(argument) {
			return []string{fmt.Sprintf("%s: got %d elements, want %v", at, len(list), argument)}
		}
		return nil
	case "$each":
		if len(list) == 0 {
			return []string{at + ": is empty"}
		}
		var all []string
		for i, element := range list {
			all = append(all, mismatches(argument, element, fmt.Sprintf("%s[%d]", at, i))...)
		}
		return all
	case "$contains":
		var all []string
		for _, w := range argument.([]any) {
			if !slices.ContainsFunc(list, func(element any) bool { return len(mismatches(w, element, "")) == 0 }) {
				all = append(all, fmt.Sprintf("%s: no element matches %v: %v", at, w, got))
			}
		}
		return all
	}
	return []string{at + ": unknown word " + word}
}

func wordMatches(word string, got any) bool {
	text, isText := got.(string)
	switch word {
	case "$nonEmpty":
		return !empty(got)
	case "$absent":
		return empty(got)
	case "$decimal":
		return isText && decimalPattern.MatchString(text)
	case "$time":
		_, err := time.Parse(time.RFC3339, text)
		return isText && err == nil
	case "$date":
		_, err := time.Parse(time.DateOnly, text)
		return isText && err == nil
	}
	pattern, ok := strings.CutPrefix(word, "$regex:")
	return ok && isText && regexp.MustCompile("^(?:"+pattern+")$").MatchString(text)
}

func isString(v any) bool { _, ok := v.(string); return ok }

// empty tells what protojson may leave out.
func empty(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		return x == ""
	case bool:
		return !x
	case int:
		return x == 0
	case json.Number:
		return x == "0"
	case []any:
		return len(x) == 0
	case map[string]any:
		return len(x) == 0
	}
	return false
}

func TestMatching(t *testing.T) {
	got := map[string]any{
		"name": "accounts/1", "count": json.Number("2"), "big": "3", "open": true, "amount": "-0.10",
		"when": "2026-01-31T10:00:00Z", "day": "2026-01-31",
		"list": []any{map[string]any{"id": "a"}, map[string]any{"id": "b", "extra": "c"}}, "empty": []any{},
	}
	for _, c := range []struct {
		want  any
		match bool
	}{
		{map[string]any{}, true},
		{map[string]any{"name": "accounts/1", "count": 2, "big": "3", "open": true}, true},
		{map[string]any{"name": "accounts/2"}, false},
		{map[string]any{"count": "2"}, false}, // a number is no string
		{map[string]any{"big": 3}, false},
		{map[string]any{"open": false}, false},
		{map[string]any{"missing": "x"}, false},
		{map[string]any{"missing": false, "empty": []any{}}, true},
		{map[string]any{"missing": "$absent", "empty": "$absent"}, true},
		{map[string]any{"name": "$absent"}, false},
		{map[string]any{"name": "$nonEmpty", "list": "$nonEmpty"}, true},
		{map[string]any{"empty": "$nonEmpty"}, false},
		{map[string]any{"amount": "$decimal", "when": "$time", "day": "$date"}, true},
		{map[string]any{"when": "$decimal"}, false},
		{map[string]any{"day": "$time"}, false},
		{map[string]any{"when": "$date"}, false},
		{map[string]any{"name": "$regex:accounts/[0-9]"}, true},
		{map[string]any{"name": "$regex:accounts"}, false},
		{map[string]any{"name": "$unknown"}, false},
		{map[string]any{"list": []any{map[string]any{"id": "a"}, map[string]any{"id": "b"}}}, true},
		{map[string]any{"list": []any{map[string]any{"id": "a"}}}, false},
		{map[string]any{"list": []any{map[string]any{"id": "b"}, map[string]any{"id": "a"}}}, false},
		{map[string]any{"list": map[string]any{"$length": 2}}, true},
		{map[string]any{"list": map[string]any{"$length": 1}}, false},
		{map[string]any{"list": map[string]any{"$each": map[string]any{"id": "$nonEmpty"}}}, true},
		{map[string]any{"list": map[string]any{"$each": map[string]any{"extra": "c"}}}, false},
		{map[string]any{"empty": map[string]any{"$each": map[string]any{}}}, false},
		{map[string]any{"list": map[string]any{"$contains": []any{map[string]any{"extra": "c"}}}}, true},
		{map[string]any{"list": map[string]any{"$contains": []any{map[string]any{"extra": "d"}}}}, false},
		{map[string]any{"list": map[string]any{"$other": 1}}, false},
	} {
		if found := mismatches(c.want, got, ""); (len(found) == 0) != c.match {
			t.Errorf("%v: got %v, want a match: %t", c.want, found, c.match)
		}
	}
}
