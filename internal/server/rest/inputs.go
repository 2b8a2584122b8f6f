package rest

import (
	"bytes"
	"slices"
	"sync"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fields that are INPUT_ONLY are empty in every answer. A caller who saw `"pdf":""` would take the document for lost.
// protojson cannot leave a single field out, so they are cut out of its text, comma included: `,"pdf":""`. Such text
// cannot stand within a string, where the quotes would be escaped, and a field that is the first of its message would
// have no comma; a test holds the API to that.

// inputsOf has, by message name, what to cut out of a message's JSON.
var inputsOf sync.Map // protoreflect.FullName to [][]byte

func withoutInputs(text []byte, message protoreflect.MessageDescriptor) []byte {
	cuts, ok := inputsOf.Load(message.FullName())
	if !ok {
		cuts, _ = inputsOf.LoadOrStore(message.FullName(), inputs(message))
	}
	for _, cut := range cuts.([][]byte) { //nolint:forcetypeassert // only such lists are stored
		text = bytes.ReplaceAll(text, cut, nil)
	}
	return text
}

// inputs lists the empty INPUT_ONLY fields of a message and of what is in it, as they stand in JSON.
func inputs(message protoreflect.MessageDescriptor) [][]byte {
	var cuts [][]byte
	eachField(message, func(field protoreflect.FieldDescriptor) {
		if empty := emptyJSON(field); inputOnly(field) && empty != "" {
			cuts = append(cuts, []byte(`,"`+field.JSONName()+`":`+empty))
		}
	})
	return cuts
}

// emptyJSON is what protojson writes for an empty field; nothing for one that it leaves out anyway.
func emptyJSON(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsList():
		return "[]"
	case field.Kind() == protoreflect.StringKind, field.Kind() == protoreflect.BytesKind:
		return `""`
	}
	return ""
}

func inputOnly(field protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, annotations.FieldBehavior_INPUT_ONLY)
}

// eachField visits the fields of a message and of all messages in it, each message once.
func eachField(message protoreflect.MessageDescriptor, visit func(protoreflect.FieldDescriptor)) {
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor)
	walk = func(message protoreflect.MessageDescriptor) {
		if seen[message.FullName()] || wellKnown(message) {
			return
		}
		seen[message.FullName()] = true
		for i := range message.Fields().Len() {
			field := message.Fields().Get(i)
			visit(field)
			if field.Message() != nil {
				walk(field.Message())
			}
		}
	}
	walk(message)
}
