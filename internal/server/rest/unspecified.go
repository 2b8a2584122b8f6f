package rest

import (
	"bytes"
	"encoding/json"
	"errors"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// An enum's zero means that nothing was said. In protobuf it cannot be told from a field that was left out, but in JSON
// and in queries it has a name, and a caller who writes it expects something of it: it is refused, as the API's
// description has it.

var errUnspecified = errors.New("rest: an enum is said to be unspecified")

// isUnspecified tells whether a name is that of an enum's zero.
func isUnspecified(field protoreflect.FieldDescriptor, name string) bool {
	value := field.Enum().Values().ByName(protoreflect.Name(name))
	return value != nil && value.Number() == 0
}

// refuseUnspecified looks for enums' zeros in a text that fits a message. One that is written with escapes passes.
func refuseUnspecified(text []byte, message protoreflect.MessageDescriptor) error {
	if !bytes.Contains(text, []byte("_UNSPECIFIED")) {
		return nil
	}
	if namesUnspecified(json.NewDecoder(bytes.NewReader(text)), message) {
		return errUnspecified
	}
	return nil
}

// namesUnspecified reads one value, an object or null, and tells whether an enum's zero is named in it. It holds no
// more than one scalar at a time: an import is large.
func namesUnspecified(d *json.Decoder, message protoreflect.MessageDescriptor) bool {
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return false
		}
		name, _ := key.(string)
		field := fieldAt(message, []string{name})
		if field != nil && field.IsList() {
			if token, err := d.Token(); err != nil || token != json.Delim('[') {
				continue // null
			}
			for d.More() {
				if elementUnspecified(d, field) {
					return true
				}
			}
			_, _ = d.Token() // the closing bracket; the document was read before
			continue
		}
		if elementUnspecified(d, field) {
			return true
		}
	}
	_, _ = d.Token() // the closing brace
	return false
}

// elementUnspecified reads a field's value, or an element of it.
func elementUnspecified(d *json.Decoder, field protoreflect.FieldDescriptor) bool {
	if field != nil && field.Message() != nil && !wellKnown(field.Message()) {
		return namesUnspecified(d, field.Message())
	}
	var raw json.RawMessage
	if d.Decode(&raw) != nil || field == nil || field.Enum() == nil {
		return false
	}
	var name string
	return json.Unmarshal(raw, &name) == nil && isUnspecified(field, name)
}
