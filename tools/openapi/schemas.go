package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// schemas makes JSON schemas of messages. One message can have three: as an answer holds it, as a request takes it,
// and as an update takes it, in which nothing is required and nothing is that cannot be changed.
type schemas struct {
	components object
	answered   map[protoreflect.FullName]bool // messages that answers hold
}

// use is what a schema is for.
type use int

const (
	answer use = iota
	input
	change
)

// message gives the reference to a message's schema, which it makes when it is not there yet.
func (s *schemas) message(message protoreflect.MessageDescriptor, as use) object {
	if known := wellKnown(message); known != nil {
		return known
	}
	name := s.name(message, as)
	if s.components[name] == nil {
		s.components[name] = object{} // for messages that hold themselves
		s.components[name] = s.object(message, as, nil)
	}
	return reference("schemas", name)
}

func (s *schemas) name(message protoreflect.MessageDescriptor, as use) string {
	name := string(message.FullName())
	switch {
	case as == change:
		return name + "Update"
	case as == input && s.answered[message.FullName()]:
		return name + "Input"
	}
	return name
}

// answers notes every message that an answer holds.
func (s *schemas) answers(message protoreflect.MessageDescriptor) {
	if s.answered[message.FullName()] {
		return
	}
	s.answered[message.FullName()] = true
	for i := range message.Fields().Len() {
		if field := message.Fields().Get(i); field.Message() != nil {
			s.answers(field.Message())
		}
	}
}

// object describes a message, but for fields that stand elsewhere.
func (s *schemas) object(message protoreflect.MessageDescriptor, as use, without map[string]bool) object {
	properties, required := object{}, []string{}
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		if without[string(field.Name())] || !takes(field, as) {
			continue
		}
		schema := s.field(field, as)
		properties[field.JSONName()] = schema
		if isRequired(field, as) {
			required = append(required, field.JSONName())
		}
	}
	schema := object{"type": "object", "properties": properties}
	if text := comment(message); text != "" {
		schema["description"] = text
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	if as != answer {
		schema["additionalProperties"] = false
	}
	if as == change {
		schema["minProperties"] = 1
		schema["description"] = fmt.Sprintf("What is to change: %s. A field that the mask names "+
			"and the body lacks is emptied; one that a new resource must have cannot be.", changeable(message, ", "))
	}
	return schema
}

// changeable lists the fields of a resource that an update may name.
func changeable(message protoreflect.MessageDescriptor, between string) string {
	var names []string
	for i := range message.Fields().Len() {
		if field := message.Fields().Get(i); takes(field, change) && field.Name() != "etag" {
			names = append(names, field.JSONName())
		}
	}
	return strings.Join(names, between)
}

// mask describes the mask of an update: which fields of its resource there are to name.
func (s *schemas) mask(request protoreflect.MessageDescriptor) object {
	for i := range request.Fields().Len() {
		if field := request.Fields().Get(i); field.Message() != nil && wellKnown(field.Message()) == nil {
			one := "(" + changeable(field.Message(), "|") + ")"
			return object{"type": "string", "pattern": "^" + one + "(," + one + ")*$"}
		}
	}
	return nil
}

// takes tells whether a field has a place there.
func takes(field protoreflect.FieldDescriptor, as use) bool {
	switch as {
	case answer:
		return !behaves(field, annotations.FieldBehavior_INPUT_ONLY)
	case change:
		return !behaves(field, annotations.FieldBehavior_OUTPUT_ONLY, annotations.FieldBehavior_IDENTIFIER,
			annotations.FieldBehavior_IMMUTABLE)
	default:
		return !behaves(field, annotations.FieldBehavior_OUTPUT_ONLY, annotations.FieldBehavior_IDENTIFIER)
	}
}

// isRequired tells whether a field must be there. In an answer that is every field without presence: zero, false and
// empty lists are written, and an answer has no empty text.
func isRequired(field protoreflect.FieldDescriptor, as use) bool {
	switch as {
	case answer:
		return !field.HasPresence()
	case change:
		return false
	default:
		return behaves(field, annotations.FieldBehavior_REQUIRED) || rulesOf(field).GetRequired() ||
			refusesNothing(field)
	}
}

// refusesNothing tells whether a field's rules refuse it when it is left out: without presence that is the same as to
// leave it empty.
func refusesNothing(field protoreflect.FieldDescriptor) bool {
	rules := rulesOf(field)
	if field.HasPresence() || rules == nil || rules.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE {
		return false
	}
	text, enum := rules.GetString(), rules.GetEnum()
	return text.GetMinLen() > 0 || text.GetUri() || rules.GetBytes().GetMinLen() > 0 ||
		text.HasPattern() && !regexp.MustCompile(text.GetPattern()).MatchString("") ||
		rules.GetRepeated().GetMinItems() > 0 || slices.Contains(enum.GetNotIn(), 0) ||
		len(enum.GetIn()) > 0 && !slices.Contains(enum.GetIn(), 0)
}

func behaves(field protoreflect.FieldDescriptor, one ...annotations.FieldBehavior) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.ContainsFunc(behaviors, func(b annotations.FieldBehavior) bool { return slices.Contains(one, b) })
}

func rulesOf(field protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// field describes a field with its meaning and, in requests, its limits.
func (s *schemas) field(field protoreflect.FieldDescriptor, as use) object {
	rules := rulesOf(field)
	if as == answer {
		rules = nil
	}
	element := rules
	if field.IsList() {
		element = rules.GetRepeated().GetItems()
	}
	var schema object
	switch {
	case field.Message() != nil && field.Message().FullName() == "google.protobuf.FieldMask":
		schema = s.mask(field.ContainingMessage())
	case field.Message() != nil:
		if as == change {
			as = input // what is within is replaced as a whole
		}
		schema = s.message(field.Message(), as)
	case field.Enum() != nil:
		schema = s.enum(field.Enum(), element)
	default:
		schema = scalar(field, element)
	}
	if as != answer && field.Kind() == protoreflect.StringKind && behaves(field, annotations.FieldBehavior_REQUIRED) {
		schema["minLength"] = max(1, rules.GetString().GetMinLen()) // an empty text is none
	}
	if field.IsList() {
		schema = object{"type": "array", "items": schema}
		limits := rules.GetRepeated()
		if limits.HasMinItems() {
			schema["minItems"] = limits.GetMinItems()
		}
		if limits.HasMaxItems() {
			schema["maxItems"] = limits.GetMaxItems()
		}
		if limits.GetUnique() {
			schema["uniqueItems"] = true
		}
	}
	if text := comment(field); text != "" {
		schema = maps.Clone(schema)
		schema["description"] = text
	}
	return schema
}

// enum gives the reference to an enum's schema, or one of its own where only some values are taken.
func (s *schemas) enum(enum protoreflect.EnumDescriptor, rules *validate.FieldRules) object {
	in := rules.GetEnum().GetIn()
	if len(in) > 0 {
		return values(enum, func(v protoreflect.EnumValueDescriptor) bool {
			return slices.Contains(in, int32(v.Number()))
		})
	}
	name := string(enum.FullName())
	if s.components[name] == nil {
		s.components[name] = values(enum, func(protoreflect.EnumValueDescriptor) bool { return true })
	}
	return reference("schemas", name)
}

// values describes an enum's values, but for the one that means that nothing was said: it is in no answer, and a
// caller who means it leaves the field out.
func values(enum protoreflect.EnumDescriptor, taken func(protoreflect.EnumValueDescriptor) bool) object {
	names, meanings := []string{}, []string{comment(enum), ""}
	for i := range enum.Values().Len() {
		value := enum.Values().Get(i)
		if value.Number() == 0 || !taken(value) {
			continue
		}
		names = append(names, string(value.Name()))
		meanings = append(meanings, fmt.Sprintf("- `%s`: %s", value.Name(), comment(value)))
	}
	return object{"type": "string", "enum": names, "description": strings.Join(meanings, "\n")}
}

// scalar describes a value of a kind of its own.
func scalar(field protoreflect.FieldDescriptor, rules *validate.FieldRules) object {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.BytesKind:
		schema := limitedBytes(rules.GetBytes())
		if field.Name() == "pdf" && rules != nil {
			schema["pattern"] = "^JVBERi[0-3][A-Za-z0-9+/]*={0,2}$" // "%PDF-"
		}
		return schema
	case protoreflect.StringKind:
		return limitedText(rules.GetString())
	case protoreflect.Int32Kind:
		schema := object{"type": "integer", "format": "int32"}
		if rules.GetInt32().HasGte() {
			schema["minimum"], schema["maximum"] = rules.GetInt32().GetGte(), 1<<31-1
		}
		return schema
	case protoreflect.DoubleKind:
		return object{"type": "number", "format": "double"}
	case protoreflect.Int64Kind, protoreflect.Uint64Kind:
		return object{"type": "string", "format": "int64"}
	}
	panic(fmt.Sprintf("%s: no schema for %s", field.FullName(), field.Kind()))
}

func limitedBytes(rules *validate.BytesRules) object {
	schema := object{"type": "string", "contentEncoding": "base64"}
	if rules.HasMinLen() {
		schema["minLength"] = (rules.GetMinLen() + 2) / 3 * 4
	}
	if rules.HasMaxLen() {
		schema["maxLength"] = (rules.GetMaxLen() + 2) / 3 * 4
	}
	return schema
}

func limitedText(rules *validate.StringRules) object {
	schema := object{"type": "string"}
	if rules.HasMinLen() {
		schema["minLength"] = rules.GetMinLen()
	}
	if rules.HasMaxLen() {
		schema["maxLength"] = rules.GetMaxLen()
	}
	if rules.HasPattern() {
		schema["pattern"] = rules.GetPattern()
		if rules.GetPattern() == datePattern {
			schema["format"] = "date"
		}
	}
	if rules.GetUri() {
		schema["format"] = "uri"
	}
	if in := rules.GetIn(); len(in) > 0 {
		schema["enum"] = in
	}
	return schema
}

const datePattern = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`

// wellKnown describes messages that have a JSON form of their own; nil for all others.
func wellKnown(message protoreflect.MessageDescriptor) object {
	switch message.FullName() {
	case "google.protobuf.Timestamp":
		return object{"type": "string", "format": "date-time"}
	case "google.protobuf.FieldMask":
		return object{"type": "string"}
	case "google.protobuf.Struct":
		return object{"type": "object"}
	case "google.protobuf.Empty":
		return object{"type": "object", "description": "Nothing."}
	}
	return nil
}

// protoName matches a name as .proto files have it, within backquotes.
var protoName = regexp.MustCompile("`[a-z.]+(_[a-z0-9.]+)+`")

// comment gives what a .proto file says of something, in the names that JSON has.
func comment(d protoreflect.Descriptor) string {
	text := d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return camel(strings.TrimSpace(strings.Join(lines, "\n")))
}

// camel writes the names in a text as JSON has them.
func camel(text string) string {
	return protoName.ReplaceAllStringFunc(text, func(name string) string {
		parts := strings.Split(name, "_")
		for i, part := range parts[1:] {
			parts[i+1] = strings.ToUpper(part[:1]) + part[1:]
		}
		return strings.Join(parts, "")
	})
}
