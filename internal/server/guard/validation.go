package guard

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// validation refuses requests that do not fit the API's description.
type validation struct {
	validator protovalidate.Validator
}

// newValidation compiles the rules of all requests, so that no call pays for it.
func newValidation(requests []proto.Message) (*validation, error) {
	validator, err := protovalidate.New(protovalidate.WithMessages(requests...), protovalidate.WithDisableLazy())
	if err != nil {
		return nil, fmt.Errorf("guard: compile validation rules: %w", err)
	}
	return &validation{validator}, nil
}

// A list can hold a million values of which each breaks a rule: an answer names some of them, and those of a large
// request are not all looked for.
const (
	maxViolations = 16
	fullReport    = 64 << 10 // bytes of a request up to which all violations are found
)

// checkKey refuses an idempotency key in the request that the header could not carry: it would be another one there.
func checkKey(request proto.Message) error {
	if r, ok := request.(interface{ GetRequestId() string }); ok && keyWithin(r.GetRequestId()) != r.GetRequestId() {
		return kerr.InvalidField("requestId", "must not begin or end with a blank")
	}
	return nil
}

// check refuses unknown fields and values that break a rule, with INVALID_FIELD and the fields' JSON paths.
func (v *validation) check(request proto.Message) error {
	if bytes.Equal(request.ProtoReflect().GetUnknown(), unreadable) {
		return kerr.New(errorv1.Error_INVALID_FIELD, "the request cannot be read",
			kerr.WithField("request", "is not the message of this method"))
	}
	if path, ok := unknownField(request.ProtoReflect(), ""); ok {
		return kerr.InvalidField(path, "is not a field of the request")
	}
	if err := checkKey(request); err != nil {
		return err
	}
	var options []protovalidate.ValidationOption
	if proto.Size(request) > fullReport {
		options = append(options, protovalidate.WithFailFast())
	}
	err := v.validator.Validate(request, options...)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) || len(invalid.Violations) == 0 {
		return fmt.Errorf("validate: %w", err)
	}
	descriptor := request.ProtoReflect().Descriptor()
	told := invalid.Violations[:min(len(invalid.Violations), maxViolations)]
	opts := make([]kerr.Option, len(told))
	var first string
	for i, violation := range told {
		path, field := fieldPath(descriptor, violation.Proto.GetField())
		if i == 0 {
			first = path
		}
		opts[i] = kerr.WithField(path, sentence(violation, field))
	}
	return kerr.New(errorv1.Error_INVALID_FIELD, "invalid field "+first, opts...)
}

// fieldPath writes a violation's field in JSON names, such as `consent.redirectUris.error` or `connections[2].id`. It
// gives the field, too, nil when the whole request is meant.
func fieldPath(
	message protoreflect.MessageDescriptor, path *validate.FieldPath,
) (string, protoreflect.FieldDescriptor) {
	var out strings.Builder
	var field protoreflect.FieldDescriptor
	for _, element := range path.GetElements() {
		name := element.GetFieldName()
		field = nil
		if message != nil {
			field = message.Fields().ByNumber(protoreflect.FieldNumber(element.GetFieldNumber()))
		}
		if field != nil {
			name, message = field.JSONName(), field.Message()
		}
		if out.Len() > 0 {
			out.WriteByte('.')
		}
		out.WriteString(name)
		if _, ok := element.GetSubscript().(*validate.FieldPathElement_Index); ok {
			out.WriteString("[" + strconv.FormatUint(element.GetIndex(), 10) + "]")
		}
	}
	if out.Len() == 0 {
		return "request", nil
	}
	return out.String(), field
}

// unknownField finds the first field that the API does not have, such as `consent.#999`.
func unknownField(message protoreflect.Message, path string) (found string, ok bool) {
	if raw := message.GetUnknown(); len(raw) > 0 {
		number, _, _ := protowire.ConsumeTag(raw)
		return dotted(path, "#"+strconv.Itoa(int(number))), true
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Message() == nil {
			return true
		}
		at := dotted(path, field.JSONName())
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, item protoreflect.Value) bool {
					found, ok = unknownField(item.Message(), at)
					return !ok
				})
			}
		case field.IsList():
			list := value.List()
			for i := 0; i < list.Len() && !ok; i++ {
				found, ok = unknownField(list.Get(i).Message(), at+"["+strconv.Itoa(i)+"]")
			}
		default:
			found, ok = unknownField(value.Message(), at)
		}
		return !ok
	})
	return found, ok
}

func dotted(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
