package answer

import (
	"bytes"
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The reference: what Append must write, made in another way. protojson's text is compacted, and what is not known is
// cut out of it by how it looks there. Quotes within a string are escaped, so `":""` can only be the end of a name with
// an empty text behind it.

func reference(message proto.Message, form Form) ([]byte, error) {
	spaced, err := protojson.MarshalOptions{EmitDefaultValues: form == Full}.Marshal(message)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, spaced); err != nil {
		return nil, err
	}
	text, descriptor := compact.Bytes(), message.ProtoReflect().Descriptor()
	if openKind(descriptor) {
		return text, nil
	}
	for _, cut := range inputs(descriptor) {
		text = bytes.ReplaceAll(text, cut, nil)
	}
	var out []byte
	for names := openFields(descriptor); ; {
		begin := firstOpen(text, names)
		if begin < 0 {
			return append(out, withoutEmpty(text)...), nil
		}
		var value json.RawMessage
		if err := json.NewDecoder(bytes.NewReader(text[begin:])).Decode(&value); err != nil {
			return nil, err
		}
		out = append(append(out, withoutEmpty(text[:begin])...), value...)
		text = text[begin+len(value):]
	}
}

var nothing = []byte(`":""`)

// withoutEmpty cuts the fields that are an empty text out of compact JSON.
func withoutEmpty(text []byte) []byte {
	var out []byte
	for {
		before, after, found := bytes.Cut(text, nothing)
		out = append(out, before...)
		if !found {
			return out
		}
		text = after
		name := bytes.LastIndexByte(out, '"')
		switch out = out[:name]; {
		case out[len(out)-1] == ',':
			out = out[:len(out)-1]
		case len(text) > 0 && text[0] == ',':
			text = text[1:]
		}
	}
}

func TestReferenceLeavesOut(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                    `{}`,
		`{"a":""}`:              `{}`,
		`{"a":"","b":""}`:       `{}`,
		`{"a":"","b":1}`:        `{"b":1}`,
		`{"b":1,"a":""}`:        `{"b":1}`,
		`{"b":1,"a":"","c":[]}`: `{"b":1,"c":[]}`,
		`{"a":{"b":"","c":""},"d":[{"e":""},{}]}`: `{"a":{},"d":[{},{}]}`,
		`{"a":[""],"b":"\":\"\"","c":"x","":""}`:  `{"a":[""],"b":"\":\"\"","c":"x"}`,
	} {
		if got := string(withoutEmpty([]byte(text))); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// firstOpen gives where the first open object of a text begins, -1 when there is none.
func firstOpen(text []byte, names []string) int {
	first := -1
	for _, name := range names {
		if at := bytes.Index(text, []byte(name)); at >= 0 && (first < 0 || at+len(name) < first) {
			first = at + len(name)
		}
	}
	return first
}

// openFields lists how the open fields of a message, and of what is in it, begin in JSON. TestReferenceFindsFields
// holds that no other field begins so.
func openFields(message protoreflect.MessageDescriptor) []string {
	var names []string
	eachField(message, func(fd protoreflect.FieldDescriptor) {
		if open(fd) {
			names = append(names, `"`+fd.JSONName()+`":`)
		}
	})
	return names
}

// inputs lists the empty INPUT_ONLY fields of a message, and of what is in it, as they stand in JSON, behind another
// field.
func inputs(message protoreflect.MessageDescriptor) [][]byte {
	var cuts [][]byte
	eachField(message, func(fd protoreflect.FieldDescriptor) {
		if form := emptyForm(fd); inputOnly(fd) && form != "" {
			cuts = append(cuts, []byte(`,"`+fd.JSONName()+`":`+form))
		}
	})
	return cuts
}

// emptyForm is what protojson writes for an empty field; nothing for one that it leaves out anyway.
func emptyForm(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsList():
		return "[]"
	case fd.Kind() == protoreflect.StringKind, fd.Kind() == protoreflect.BytesKind:
		return `""`
	}
	return ""
}

// open tells whether a field holds JSON of any form.
func open(fd protoreflect.FieldDescriptor) bool { return fd.Message() != nil && openKind(fd.Message()) }

func openKind(message protoreflect.MessageDescriptor) bool {
	switch message.FullName() {
	case "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue":
		return true
	}
	return false
}

// eachField visits the fields of a message and of all messages in it, each message once.
func eachField(message protoreflect.MessageDescriptor, visit func(protoreflect.FieldDescriptor)) {
	for _, m := range within(message) {
		for i := range m.Fields().Len() {
			visit(m.Fields().Get(i))
		}
	}
}

// within lists a message and all that can be in it, but for those that protobuf itself brings.
func within(message protoreflect.MessageDescriptor) []protoreflect.MessageDescriptor {
	var all []protoreflect.MessageDescriptor
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] || m.FullName().Parent() == "google.protobuf" {
			return
		}
		seen[m.FullName()] = true
		all = append(all, m)
		for i := range m.Fields().Len() {
			if inner := m.Fields().Get(i).Message(); inner != nil {
				walk(inner)
			}
		}
	}
	walk(message)
	return all
}

// TestReferenceFindsFields holds the types that are compared to what the reference relies on: no other field is called
// as an open one or as an INPUT_ONLY one, and in answers an empty INPUT_ONLY field stands behind one that is always
// written. Inputs alone may have one as their first; nobody is answered with those.
func TestReferenceFindsFields(t *testing.T) {
	opened, hidden := 0, 0
	for _, kind := range kinds(t) {
		special, plain := map[string]bool{}, map[string]bool{}
		eachField(kind.Descriptor(), func(fd protoreflect.FieldDescriptor) {
			switch {
			case open(fd):
				opened++
				special[fd.JSONName()] = true
			case inputOnly(fd) && !fd.HasPresence():
				hidden++
				special[fd.JSONName()] = true
				if emptyForm(fd) == "" {
					t.Errorf("%s: its empty form is not known", fd.FullName())
				}
			default:
				plain[fd.JSONName()] = true
			}
		})
		for name := range special {
			if plain[name] {
				t.Errorf("%s: another field is called %s, too", kind.Descriptor().FullName(), name)
			}
		}
	}
	if opened == 0 || hidden == 0 {
		t.Errorf("%d open fields, %d inputs: drop what looks for them", opened, hidden)
	}
}
