package rest

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/kerr"
)

// Where callers may write a body in two ways. AIP-133 has creating requests with the bare resource as the body;
// Kontor's carry the resource under its name, beside what else belongs to the request. AIP-134 has updating requests
// with the bare resource; those who are used to the former wrap it. Both ways mean the same, so both are taken. Which
// requests these are follows from the API's description.

// creation is a request that creates a resource: it has a field of the very type that the method answers with.
type creation struct {
	// resource is the field with the resource.
	resource protoreflect.FieldDescriptor
	// own are the names of the request's fields, JSON and proto, but for the JSON name of the resource's. A body with
	// one of them is no bare resource.
	own map[string]bool
	// both are the names of the request's fields that fields of the resource have, too, in quotes.
	both [][]byte
}

// creationOf gives the form of a method's request, nil when it creates nothing.
func creationOf(method protoreflect.MethodDescriptor) *creation {
	c := &creation{own: map[string]bool{}}
	fields := method.Input().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		c.own[field.JSONName()], c.own[string(field.Name())] = true, true
		if c.resource == nil && holds(field, method.Output()) {
			c.resource = field
		}
	}
	if c.resource == nil {
		return nil
	}
	for name := range c.own {
		if fieldAt(c.resource.Message(), []string{name}) != nil {
			c.both = append(c.both, []byte(`"`+name+`"`))
		}
	}
	delete(c.own, c.resource.JSONName())
	return c
}

// holds tells whether a field holds one message of a type.
func holds(field protoreflect.FieldDescriptor, message protoreflect.MessageDescriptor) bool {
	return field.Cardinality() != protoreflect.Repeated && field.Message() != nil &&
		field.Message().FullName() == message.FullName()
}

// decode reads a body into the request. Its first field tells which way of writing it is: then it is read as that,
// once. Only a body that does not fit so, or whose first field is hard to read, is looked at as a whole.
func (c *creation) decode(text []byte, request proto.Message) error {
	switch name, value := firstField(text); {
	case c.own[name] || name == c.resource.JSONName() && value != '"':
		if parse(text, request) == nil {
			return nil
		}
	case name != "" && !c.mayBeBoth(text):
		// What has no field of the request, and can be read as a resource, is one.
		resource := request.ProtoReflect().NewField(c.resource)
		if parse(text, resource.Message().Interface()) == nil {
			request.ProtoReflect().Set(c.resource, resource)
			return nil
		}
	}
	proto.Reset(request)
	return decode(c.wrap(text), request)
}

// mayBeBoth tells whether a text may have a field that the request and the resource both have.
func (c *creation) mayBeBoth(text []byte) bool {
	if len(c.both) > 0 && bytes.IndexByte(text, '\\') >= 0 {
		return true // a name may be written in another way
	}
	return slices.ContainsFunc(c.both, func(name []byte) bool { return bytes.Contains(text, name) })
}

// wrap puts a bare resource under its name. A body with any of the request's own fields is left as it is.
func (c *creation) wrap(text []byte) []byte {
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil || len(fields) == 0 {
		return text
	}
	for name, value := range fields {
		// A field of the resource may be called so, too, and hold a name: an object there is the resource.
		if c.own[name] || name == c.resource.JSONName() && !isString(value) {
			return text
		}
	}
	return append(append([]byte(`{"`+c.resource.JSONName()+`":`), text...), '}')
}

// update is a request whose body is the resource that it updates.
type update struct {
	// resource and mask are the JSON names of the request's fields.
	resource, mask string
}

// updateOf gives the form of a method's request. It is nil when the request has no mask, so that a body has one form
// only.
func updateOf(method protoreflect.MethodDescriptor, binding api.Binding) *update {
	u := &update{}
	fields := method.Input().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case string(field.Name()) == binding.Body:
			u.resource = field.JSONName()
		case field.Message() != nil && field.Message().FullName() == "google.protobuf.FieldMask":
			u.mask = field.JSONName()
		}
	}
	if u.resource == "" || u.mask == "" {
		return nil
	}
	return u
}

// unwrap takes a resource out of its wrapping; the mask beside it becomes a query parameter. A body whose first field
// is one that the wrapping does not have is a bare resource, and not looked at any further.
func (u *update) unwrap(text []byte, target *url.URL) ([]byte, error) {
	if name, _ := firstField(text); name != "" && name != u.resource && name != u.mask {
		return text, nil
	}
	return u.unwrapWhole(text, target)
}

func (u *update) unwrapWhole(text []byte, target *url.URL) ([]byte, error) {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(text, &fields) // what is no object wraps nothing
	inner, ok := fields[u.resource]
	if !ok || isString(inner) {
		return text, nil
	}
	for name := range fields {
		if name != u.resource && name != u.mask {
			return text, nil // the strict reader names what does not belong there
		}
	}
	if name := twice(text); name != "" {
		return nil, kerr.InvalidField(name, "is there twice")
	}
	var mask *string // null is as good as none
	if raw, ok := fields[u.mask]; ok && json.Unmarshal(raw, &mask) != nil {
		// A mask that is passed over would change more than was asked for.
		return nil, kerr.InvalidField(u.mask, "must be field names with commas between")
	}
	if mask != nil && *mask != "" {
		query := target.Query()
		if query.Has(u.mask) {
			return nil, kerr.InvalidField(u.mask, "is there twice")
		}
		query.Set(u.mask, *mask)
		target.RawQuery = query.Encode()
	}
	return inner, nil
}

// twice gives the name of a field that an object has more than once, "" when there is none.
func twice(object []byte) string {
	decoder, seen := json.NewDecoder(bytes.NewReader(object)), map[string]bool{}
	if _, err := decoder.Token(); err != nil {
		return ""
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return ""
		}
		name, _ := key.(string)
		if seen[name] {
			return name
		}
		seen[name] = true
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return ""
		}
	}
	return ""
}

func isString(value json.RawMessage) bool { return len(value) > 0 && value[0] == '"' }

// firstField gives the name of the first field of an object, and the first byte of its value. The name is empty when
// there is none, or when it is not written plainly.
func firstField(text []byte) (name string, value byte) {
	rest, ok := after(text, '{')
	if !ok {
		return "", 0
	}
	if rest, ok = after(rest, '"'); !ok {
		return "", 0
	}
	end := bytes.IndexAny(rest, `"\`)
	if end < 0 || rest[end] == '\\' {
		return "", 0
	}
	behind, ok := after(rest[end+1:], ':')
	if behind = blanks(behind); !ok || len(behind) == 0 {
		return "", 0
	}
	return string(rest[:end]), behind[0]
}

// after gives what follows a byte, if that comes next but for blanks.
func after(text []byte, want byte) (rest []byte, ok bool) {
	if text = blanks(text); len(text) == 0 || text[0] != want {
		return nil, false
	}
	return text[1:], true
}

// blanks gives a text without the blanks before it.
func blanks(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }
