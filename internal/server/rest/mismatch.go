package rest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// maxDepth bounds how deep a body is nested.
const maxDepth = 32

// fieldError names an offending field. It travels through grpc-gateway, which keeps only an error's text: see
// parseFieldError.
type fieldError struct{ path, description string }

const fieldMark = "kontor-field\x00"

func (e *fieldError) Error() string { return fieldMark + e.path + "\x00" + e.description }

// parseFieldError reads a fieldError back from a text.
func parseFieldError(text string) (*fieldError, bool) {
	_, rest, ok := strings.Cut(text, fieldMark)
	if !ok {
		return nil, false
	}
	path, description, _ := strings.Cut(rest, "\x00")
	return &fieldError{path, description}, true
}

// newTarget makes the message that a **T points to.
func newTarget(v any) (proto.Message, bool) {
	pointer := reflect.ValueOf(v)
	if pointer.Kind() != reflect.Pointer || pointer.Elem().Kind() != reflect.Pointer {
		return nil, false
	}
	if pointer.Elem().IsNil() {
		pointer.Elem().Set(reflect.New(pointer.Elem().Type().Elem()))
	}
	message, ok := reflect.TypeAssert[proto.Message](pointer.Elem())
	return message, ok
}

// maxLocated bounds how many values are looked at to find the one that does not fit: each costs far more than to parse
// it, and a body can hold millions.
const maxLocated = 10_000

// locator reads a document and counts what it looked at.
type locator struct {
	*json.Decoder

	values int
}

// locate finds the first place at which a JSON document does not fit a message.
func locate(text []byte, message protoreflect.MessageDescriptor) error {
	decoder := &locator{Decoder: json.NewDecoder(bytes.NewReader(text))}
	decoder.UseNumber()
	if err := wellFormed(text); err != nil {
		return err
	}
	if failure := locateMessage(decoder, message, "", 0); failure != nil {
		return failure
	}
	return &fieldError{"body", "does not fit the request"}
}

// wellFormed refuses what is no single JSON document.
func wellFormed(text []byte) error {
	if !json.Valid(text) {
		return &fieldError{"body", "is not JSON"}
	}
	return nil
}

// locateMessage reads one value, which should be an object.
func locateMessage(d *locator, message protoreflect.MessageDescriptor, path string, depth int) *fieldError {
	if depth > maxDepth {
		return &fieldError{orBody(path), "is nested too deep"}
	}
	if wellKnown(message) {
		return locateScalar(d, message, path)
	}
	token, err := d.Token()
	switch {
	case err != nil:
		return &fieldError{orBody(path), "cannot be read"}
	case token == nil && path != "":
		return nil
	case token != json.Delim('{'):
		return &fieldError{orBody(path), "must be an object"}
	}
	seen := make(map[protoreflect.Name]bool)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return &fieldError{orBody(path), "cannot be read"}
		}
		name, _ := key.(string)
		field := message.Fields().ByJSONName(name)
		if field == nil {
			field = message.Fields().ByTextName(name)
		}
		if field == nil {
			return &fieldError{join(path, printable(name)), "is not a field of the request"}
		}
		at := join(path, field.JSONName())
		if seen[field.Name()] {
			return &fieldError{at, "is there twice"}
		}
		seen[field.Name()] = true
		if failure := locateField(d, field, at, depth); failure != nil {
			return failure
		}
	}
	_, _ = d.Token() // the closing brace; the document is well-formed
	return nil
}

func locateField(d *locator, field protoreflect.FieldDescriptor, path string, depth int) *fieldError {
	if !field.IsList() {
		return locateValue(d, field, path, depth)
	}
	token, err := d.Token()
	switch {
	case err != nil:
		return &fieldError{path, "cannot be read"}
	case token == nil:
		return nil
	case token != json.Delim('['):
		return &fieldError{path, "must be a list"}
	}
	for i := 0; d.More(); i++ {
		if failure := locateValue(d, field, path+"["+strconv.Itoa(i)+"]", depth); failure != nil {
			return failure
		}
	}
	_, _ = d.Token()
	return nil
}

func locateValue(d *locator, field protoreflect.FieldDescriptor, path string, depth int) *fieldError {
	if d.values++; d.values > maxLocated {
		return &fieldError{"body", "does not fit the request, somewhere behind its first values"}
	}
	if field.Message() != nil {
		return locateMessage(d, field.Message(), path, depth+1)
	}
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return &fieldError{path, "cannot be read"}
	}
	if fits(field, raw) {
		return nil
	}
	return &fieldError{path, expectation(field)}
}

// fits tells whether a JSON value fits a scalar field, by protojson's own judgement. It takes the value of an enum
// that means that nothing was said, too; who means that leaves the field out.
func fits(field protoreflect.FieldDescriptor, raw json.RawMessage) bool {
	var name string
	if field.Enum() != nil && json.Unmarshal(raw, &name) == nil && isUnspecified(field, name) {
		return false
	}
	holder := dynamicpb.NewMessage(field.ContainingMessage())
	value := raw
	if field.IsList() {
		value = json.RawMessage("[" + string(raw) + "]")
	}
	document, err := json.Marshal(map[string]json.RawMessage{field.JSONName(): value})
	return err == nil && protojson.Unmarshal(document, holder) == nil
}

// expectation says what a scalar field takes.
func expectation(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.EnumKind:
		var names []string
		values := field.Enum().Values()
		for i := range values.Len() {
			if values.Get(i).Number() != 0 {
				names = append(names, string(values.Get(i).Name()))
			}
		}
		return "must be one of " + strings.Join(names, ", ")
	case protoreflect.BoolKind:
		return "must be true or false"
	case protoreflect.StringKind:
		return "must be a string of valid UTF-8"
	case protoreflect.BytesKind:
		return "must be base64"
	default:
		return "must be a number in range"
	}
}

// wellKnown tells whether a message has a JSON form of its own.
func wellKnown(message protoreflect.MessageDescriptor) bool {
	return message.FullName().Parent() == "google.protobuf"
}

// locateScalar reads a value of a message with a JSON form of its own.
func locateScalar(d *locator, message protoreflect.MessageDescriptor, path string) *fieldError {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return &fieldError{path, "cannot be read"}
	}
	if string(raw) == "null" || protojson.Unmarshal(raw, dynamicpb.NewMessage(message)) == nil {
		return nil
	}
	switch message.Name() {
	case "Timestamp":
		return &fieldError{path, "must be an instant as in RFC 3339"}
	case "FieldMask":
		return &fieldError{path, "must be field names with commas between"}
	}
	return &fieldError{path, "has the wrong form"}
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,63}$`)

// printable keeps a caller's field name short and free of anything that could break a line; a name that is not a
// plain word is left out, since it may be a value in the wrong place, such as a national id.
func printable(name string) string {
	if !plainName.MatchString(name) {
		return "?"
	}
	return name
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func orBody(path string) string {
	if path == "" {
		return "body"
	}
	return path
}
