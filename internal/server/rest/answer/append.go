package answer

import (
	"math"
	"reflect"

	"google.golang.org/protobuf/proto"
)

// Form is how much of a message is written.
type Form bool

const (
	// Full writes lists, maps, numbers, booleans and enums where they have their default, too.
	Full Form = false
	// Sparse writes nothing but what there is.
	Sparse Form = true
)

// Append appends a message as JSON. A message that is nil is an empty one. The error is for the log alone: it may quote
// the message. It fails for texts that are no UTF-8, for values of well-known types that have no JSON form, and for
// details whose type is not linked in.
func Append(b []byte, message proto.Message, form Form) ([]byte, error) {
	if message == nil {
		return append(b, "{}"...), nil
	}
	v := reflect.ValueOf(message)
	s, err := shapeOf(v.Type())
	if err != nil {
		return nil, err
	}
	return s.write(b, v, form)
}

// object appends a message as an object.
func (s *shape) object(b []byte, v reflect.Value, form Form) ([]byte, error) {
	return s.fill(append(b, '{'), v, form)
}

// fill appends the fields of a message to an object, and ends it.
func (s *shape) fill(b []byte, v reflect.Value, form Form) ([]byte, error) {
	if v.IsNil() {
		v = reflect.New(s.of)
	}
	v = v.Elem()
	for i := range s.fields {
		f := &s.fields[i]
		value, ok := f.find(v, form)
		if !ok {
			continue
		}
		before := len(b)
		b = append(next(b), f.name...)
		begin := len(b)
		var err error
		if b, err = f.write(b, value, form); err != nil {
			return nil, err
		}
		if empty(b[begin:]) {
			b = b[:before]
		}
	}
	return append(b, '}'), nil
}

// next makes room for a further field of an object, or element of a list.
func next(b []byte) []byte {
	if last := b[len(b)-1]; last == '{' || last == '[' {
		return b
	}
	return append(b, ',')
}

// empty tells whether a value is an empty text, which says nothing.
func empty(value []byte) bool { return string(value) == `""` }

// find gives a field's value in the form that the field's appender takes; false when it is not written.
func (f *field) find(message reflect.Value, form Form) (reflect.Value, bool) {
	v := message.Field(f.index)
	switch f.presence {
	case implicit:
		return v, form == Full || !v.IsZero() || v.CanFloat() && math.Signbit(v.Float()) // -0 is not 0
	case counted:
		return v, form == Full && !f.mute || v.Len() > 0
	case nilable:
		return v, !v.IsNil()
	case pointed:
		if v.IsNil() {
			return v, false
		}
		return v.Elem(), true
	default: // chosen
		if v = v.Elem(); !v.IsValid() || v.Type() != f.choice || v.IsNil() {
			return v, false
		}
		return v.Elem().Field(0), true
	}
}
