package answer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// wellKnown gives how a type is written that has a JSON form of its own; nil for any other. google.protobuf.Empty has
// none.
func wellKnown(message protoreflect.MessageDescriptor) appender {
	if message.FullName().Parent() != "google.protobuf" {
		return nil
	}
	switch message.Name() {
	case "Timestamp":
		return instant
	case "Any":
		return detail
	case "Duration", "FieldMask", "Struct", "Value", "ListValue", "BoolValue", "Int32Value", "Int64Value",
		"UInt32Value", "UInt64Value", "FloatValue", "DoubleValue", "StringValue", "BytesValue":
		return delegated
	}
	return nil
}

// delegated appends what protojson writes, without its random blanks.
func delegated(b []byte, v reflect.Value, _ Form) ([]byte, error) {
	spaced, err := protojson.Marshal(v.Interface().(proto.Message)) //nolint:forcetypeassert // shapes are of messages
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	out := bytes.NewBuffer(b)
	if err := json.Compact(out, spaced); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return out.Bytes(), nil
}

// Bounds of a Timestamp's seconds: from year 1 to 9999.
const (
	minSeconds = -62135596800
	maxSeconds = 253402300799
)

var errInstant = errors.New("answer: an instant is out of range")

// instant appends a Timestamp as RFC 3339 in UTC, with 0, 3, 6 or 9 digits of a second's fraction.
func instant(b []byte, v reflect.Value, _ Form) ([]byte, error) {
	t := v.Interface().(*timestamppb.Timestamp) //nolint:forcetypeassert // by the message's name
	seconds, nanos := t.GetSeconds(), t.GetNanos()
	if seconds < minSeconds || seconds > maxSeconds || nanos < 0 || nanos >= 1e9 {
		return nil, errInstant
	}
	at := time.Unix(seconds, int64(nanos)).UTC()
	b = at.AppendFormat(append(b, '"'), time.RFC3339)
	nanos = int32(at.Nanosecond())
	if nanos == 0 {
		return append(b, '"'), nil
	}
	unit := int32(1e8)
	for unit > 100 && nanos%1000 == 0 {
		unit, nanos = unit/1000, nanos/1000
	}
	b[len(b)-1] = '.' // where Z stood
	for ; unit > 0; unit /= 10 {
		b = append(b, byte('0'+nanos/unit%10))
	}
	return append(b, 'Z', '"'), nil
}

var errNoType = errors.New("answer: a detail has no type")

// detail appends an Any: what it holds, with its type as a further field.
func detail(b []byte, v reflect.Value, form Form) ([]byte, error) {
	packed := v.Interface().(*anypb.Any) //nolint:forcetypeassert // by the message's name
	switch {
	case packed.GetTypeUrl() != "":
	case len(packed.GetValue()) == 0:
		return append(b, "{}"...), nil
	default:
		return nil, errNoType
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByURL(packed.GetTypeUrl())
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	message := kind.New().Interface()
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(packed.GetValue(), message); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	held := reflect.ValueOf(message)
	s, err := shapeOf(held.Type())
	if err != nil {
		return nil, err
	}
	if b, err = text(append(b, `{"@type":`...), packed.GetTypeUrl()); err != nil {
		return nil, err
	}
	if wellKnown(kind.Descriptor()) == nil {
		return s.fill(b, held, form)
	}
	before := len(b)
	b = append(b, `,"value":`...)
	begin := len(b)
	if b, err = s.write(b, held, form); err != nil {
		return nil, err
	}
	if empty(b[begin:]) {
		b = b[:before]
	}
	return append(b, '}'), nil
}
