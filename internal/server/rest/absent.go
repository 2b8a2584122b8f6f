package rest

import (
	"bytes"
	"encoding/json"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// What is not known is left out of JSON. protojson writes an empty string for a field without presence, such as
// nextPageToken on the last page, so that is cut out of its text. Quotes within a string are escaped, so `":""` can
// only be the end of a name with an empty string behind it.
//
// What is within an open object (google.protobuf.Struct and its like) is the provider's and passes as it is.

var nothing = []byte(`":""`)

// withoutEmpty cuts the fields that are an empty string out of compact JSON.
func withoutEmpty(text []byte) []byte {
	if !bytes.Contains(text, nothing) {
		return text
	}
	out := make([]byte, 0, len(text))
	for {
		before, after, found := bytes.Cut(text, nothing)
		out = append(out, before...)
		if !found {
			return out
		}
		text = after
		name := bytes.LastIndexByte(out, '"')
		if name < 1 || out[name-1] == '\\' { // a key of a map, with a quote in it
			out = append(out, nothing...)
			continue
		}
		switch out = out[:name]; {
		case out[len(out)-1] == ',':
			out = out[:len(out)-1]
		case len(text) > 0 && text[0] == ',':
			text = text[1:]
		}
	}
}

// openOf has, by message name, how the fields with open objects begin in a message's JSON.
var openOf sync.Map // protoreflect.FullName to [][]byte

// withoutEmptyFields is withoutEmpty for all of a message's JSON but its open objects. A name in quotes with a colon
// behind it cannot stand within a string; that no other field has the name is held by a test.
func withoutEmptyFields(text []byte, message protoreflect.MessageDescriptor) []byte {
	known, ok := openOf.Load(message.FullName())
	if !ok {
		known, _ = openOf.LoadOrStore(message.FullName(), openFields(message))
	}
	names := known.([][]byte) //nolint:forcetypeassert // only such lists are stored
	if len(names) == 0 || !bytes.Contains(text, nothing) {
		return withoutEmpty(text)
	}
	out := make([]byte, 0, len(text))
	for {
		begin := firstOpen(text, names)
		if begin < 0 {
			return append(out, withoutEmpty(text)...)
		}
		var value json.RawMessage
		if json.NewDecoder(bytes.NewReader(text[begin:])).Decode(&value) != nil {
			return append(out, text...) // not what protojson writes
		}
		out = append(append(out, withoutEmpty(text[:begin])...), value...)
		text = text[begin+len(value):]
	}
}

// firstOpen gives where the first open object of a text begins, -1 when there is none.
func firstOpen(text []byte, names [][]byte) int {
	first := -1
	for _, name := range names {
		if at := bytes.Index(text, name); at >= 0 && (first < 0 || at+len(name) < first) {
			first = at + len(name)
		}
	}
	return first
}

// openFields lists the fields of a message, and of what is in it, that hold open objects, as they begin in JSON.
func openFields(message protoreflect.MessageDescriptor) [][]byte {
	var names [][]byte
	eachField(message, func(field protoreflect.FieldDescriptor) {
		if open(field) {
			names = append(names, []byte(`"`+field.JSONName()+`":`))
		}
	})
	return names
}

// open tells whether a field holds JSON of any form.
func open(field protoreflect.FieldDescriptor) bool {
	if field.Message() == nil {
		return false
	}
	switch field.Message().FullName() {
	case "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue":
		return true
	}
	return false
}
