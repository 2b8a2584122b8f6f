// Package jsonreadtest holds tables of jsonread to what encoding/json makes of the same text by a struct's tags.
package jsonreadtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/jsonread"
)

// Read reads a whole text as upstream reads a body: nothing may follow the value.
func Read[T any](text []byte, read func(*jsonread.Decoder, *T) error) (*T, error) {
	into := new(T)
	d := jsonread.NewDecoder(bytes.NewReader(text))
	if err := read(d, into); err != nil {
		return into, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return into, errors.New("something follows")
	}
	return into, nil
}

// Same fails the test unless read makes of the text what encoding/json does, or both refuse it. Members called unread
// have a tag and are not read: they make no difference. Texts with a member that comes twice are left out, since
// encoding/json merges lists and objects then.
func Same[T any](t *testing.T, text []byte, read func(*jsonread.Decoder, *T) error, unread ...string) {
	t.Helper()
	names, twice := names(text)
	if twice {
		return
	}
	for _, name := range unread {
		if names[strings.ToLower(name)] {
			return
		}
	}
	want := new(T)
	refused := json.Unmarshal(text, want)
	got, err := Read(text, read)
	switch {
	case (err == nil) != (refused == nil):
		t.Errorf("%q: %v, but by encoding/json: %v", text, err, refused)
	case err == nil && !reflect.DeepEqual(got, want):
		t.Errorf("%q became\n%+v, but by encoding/json\n%+v", text, got, want)
	}
}

// names gives the names of all members in lower case, and whether one object has two that differ in case at most. What
// is malformed has the names that come before.
func names(text []byte) (found map[string]bool, twice bool) {
	found = map[string]bool{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	type level struct {
		object, value bool
		names         map[string]bool
	}
	var levels []level
	for {
		token, err := d.Token()
		if err != nil {
			return found, twice
		}
		var top *level
		if len(levels) > 0 {
			top = &levels[len(levels)-1]
		}
		if name, ok := token.(string); ok && top != nil && top.object && !top.value {
			name = strings.ToLower(name)
			twice = twice || top.names[name]
			found[name], top.names[name], top.value = true, true, true
			continue
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			levels = append(levels, level{object: token == json.Delim('{'), names: map[string]bool{}})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
		if len(levels) > 0 {
			levels[len(levels)-1].value = false
		}
	}
}
