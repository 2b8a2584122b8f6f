package answer

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// appender appends a value as JSON. A message comes as a pointer to its struct, which may be nil.
type appender func(b []byte, v reflect.Value, form Form) ([]byte, error)

// shape is how messages of one type are written.
type shape struct {
	// of is the generated struct.
	of reflect.Type
	// write appends a message.
	write appender
	// fields stand in the order of their declaration, as protojson has them. None for a type with a form of its own.
	fields []field
}

// field is how one field of a message is written.
type field struct {
	// name is the name in JSON, with quotes and colon.
	name []byte
	// index is the place in the generated struct.
	index    int
	presence presence
	// choice is the generated struct of one field of a oneof; nil for other fields.
	choice reflect.Type
	// mute says that what is counted is not written where it is empty, whatever the form: a text, or INPUT_ONLY.
	mute  bool
	write appender
}

// presence is how a generated struct tells whether it has a field.
type presence int

const (
	implicit presence = iota // a scalar that has its default
	counted                  // a list, a map, a text or bytes, by its length
	nilable                  // a message, by its pointer; optional bytes, by being nil
	pointed                  // an optional scalar, by a pointer to it
	chosen                   // one of a oneof, by the type that an interface holds
)

// shapes has the shapes of all types that were written so far.
var shapes sync.Map // reflect.Type, a pointer to a generated struct, to *shape

// shapeOf gives the shape of a type of message.
func shapeOf(message reflect.Type) (*shape, error) {
	if known, ok := shapes.Load(message); ok {
		return known.(*shape), nil //nolint:forcetypeassert // only shapes are stored
	}
	s, err := builder{}.shape(message)
	if err != nil {
		return nil, err
	}
	known, _ := shapes.LoadOrStore(message, s)
	return known.(*shape), nil //nolint:forcetypeassert // only shapes are stored
}

// builder makes a shape and those of all that is in it. It has those that it has begun, since a type may hold itself.
type builder map[reflect.Type]*shape

func (b builder) shape(message reflect.Type) (*shape, error) {
	if begun, ok := b[message]; ok {
		return begun, nil
	}
	generated, ok := reflect.TypeAssert[proto.Message](reflect.Zero(message))
	if !ok {
		return nil, fmt.Errorf("answer: %s is no generated message", message)
	}
	s := &shape{of: message.Elem()}
	b[message] = s
	descriptor := generated.ProtoReflect().Descriptor()
	if s.write = wellKnown(descriptor); s.write != nil {
		return s, nil
	}
	s.write = s.object
	places := placesOf(s.of)
	for i := range descriptor.Fields().Len() {
		f, err := b.field(descriptor.Fields().Get(i), s.of, places)
		if err != nil {
			return nil, err
		}
		s.fields = append(s.fields, f)
	}
	if descriptor.ExtensionRanges().Len() > 0 || descriptor.RequiredNumbers().Len() > 0 {
		return nil, fmt.Errorf("answer: %s has extensions or required fields", message)
	}
	return s, nil
}

// placesOf gives where a generated struct has its fields, by number, and its oneofs, by name, as protoc-gen-go's tags
// tell.
func placesOf(message reflect.Type) map[string]int {
	places := map[string]int{}
	for i := range message.NumField() {
		tag := message.Field(i).Tag
		if parts := strings.Split(tag.Get("protobuf"), ","); len(parts) > 1 {
			places[parts[1]] = i
		}
		if oneof := tag.Get("protobuf_oneof"); oneof != "" {
			places[oneof] = i
		}
	}
	return places
}

func (b builder) field(fd protoreflect.FieldDescriptor, message reflect.Type, places map[string]int) (field, error) {
	text := fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.BytesKind
	f := field{
		name: []byte(`"` + fd.JSONName() + `":`),
		mute: inputOnly(fd) || text && fd.Cardinality() != protoreflect.Repeated,
	}
	place := strconv.Itoa(int(fd.Number()))
	oneof := fd.ContainingOneof()
	if oneof != nil && !oneof.IsSynthetic() {
		place = string(oneof.Name())
	}
	index, ok := places[place]
	if !ok {
		return f, fmt.Errorf("answer: %s has no place for %s", message, fd.Name())
	}
	f.index = index
	held := message.Field(index).Type
	switch {
	case oneof != nil && !oneof.IsSynthetic():
		f.presence, f.choice = chosen, choiceOf(fd, message, index)
		held = f.choice.Elem().Field(0).Type
	case fd.Cardinality() == protoreflect.Repeated, text && !fd.HasPresence():
		f.presence = counted
	case fd.Message() != nil, fd.Kind() == protoreflect.BytesKind:
		f.presence = nilable
	case fd.HasPresence():
		f.presence, held = pointed, held.Elem()
	}
	var err error
	switch {
	case fd.IsList():
		f.write, err = b.list(fd, held)
	case fd.IsMap():
		f.write, err = b.dictionary(fd, held)
	default:
		f.write, err = b.single(fd, held)
	}
	return f, err
}

// choiceOf gives the type of what a oneof's interface holds when it has a field.
func choiceOf(fd protoreflect.FieldDescriptor, message reflect.Type, index int) reflect.Type {
	v := reflect.New(message)
	m := v.Interface().(proto.Message).ProtoReflect() //nolint:forcetypeassert // a generated message's struct
	m.Set(fd, m.NewField(fd))
	return v.Elem().Field(index).Elem().Type()
}

// inputOnly tells whether nobody is shown a field. A caller who saw an empty one would take its content for lost.
func inputOnly(fd protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, annotations.FieldBehavior_INPUT_ONLY)
}

// single gives how one value of a field is written.
func (b builder) single(fd protoreflect.FieldDescriptor, held reflect.Type) (appender, error) {
	switch {
	case fd.Message() != nil:
		s, err := b.shape(held)
		if err != nil {
			return nil, err
		}
		// Through the shape, whose appender may not be there yet.
		return func(b []byte, v reflect.Value, form Form) ([]byte, error) { return s.write(b, v, form) }, nil
	case fd.Enum() != nil:
		return enum(fd.Enum()), nil
	}
	return scalars[fd.Kind()], nil
}

// list gives how a field with many values is written.
func (b builder) list(fd protoreflect.FieldDescriptor, held reflect.Type) (appender, error) {
	element, err := b.single(fd, held.Elem())
	return func(b []byte, v reflect.Value, form Form) ([]byte, error) {
		b = append(b, '[')
		for i := range v.Len() {
			var err error
			if b, err = element(next(b), v.Index(i), form); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}, err
}
