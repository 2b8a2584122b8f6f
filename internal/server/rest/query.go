package rest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"kontor.dev/kontor/internal/kerr"
)

// The gateway keeps its parser in a variable of its package, although it looks like an option of one mux: it is set
// once, before any runs.
var _ = runtime.NewServeMux(runtime.SetQueryParameterParser(queryParser{}))

// queryParser reads query parameters. The gateway's own passes over parameters that it does not know, and quotes
// values that it does not understand.
type queryParser struct{ gateway runtime.DefaultQueryParser }

// Parse implements runtime.QueryParameterParser.
func (p queryParser) Parse(message proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	seen := make(map[string]bool, len(values))
	for key, value := range values {
		field := fieldAt(message.ProtoReflect().Descriptor(), strings.Split(key, "."))
		if field == nil || field.Message() != nil && !wellKnown(field.Message()) {
			return &fieldError{printable(key), "is not a parameter of the request"}
		}
		path := jsonPath(message.ProtoReflect().Descriptor(), strings.Split(key, "."))
		if seen[path] || len(value) > 1 && !field.IsList() {
			return &fieldError{path, "is there twice"}
		}
		seen[path] = true
		if field.Enum() != nil && slices.ContainsFunc(value, func(v string) bool { return isUnspecified(field, v) }) {
			return &fieldError{path, expectation(field)}
		}
		if err := p.gateway.Parse(message, url.Values{key: value}, filter); err != nil {
			return &fieldError{path, expectation(field)}
		}
		if field.Message() != nil && field.Message().FullName() == "google.protobuf.FieldMask" {
			if err := maskNames(message.ProtoReflect(), field); err != nil {
				return err
			}
		}
	}
	return nil
}

// maskNames brings a field mask from JSON names into proto names, as protojson does in a body. The gateway takes it
// as it is.
func maskNames(message protoreflect.Message, field protoreflect.FieldDescriptor) error {
	mask, ok := message.Get(field).Message().Interface().(*fieldmaskpb.FieldMask)
	if !ok {
		return &fieldError{field.JSONName(), "cannot be read"}
	}
	resource := resourceOf(message.Descriptor(), field)
	for i, path := range mask.GetPaths() {
		names := strings.Split(path, ".")
		if resource == nil || fieldAt(resource, names) == nil {
			return &fieldError{field.JSONName(), "must be field names with commas between"}
		}
		for j := range names {
			names[j] = string(fieldAt(resource, strings.Split(path, ".")[:j+1]).Name())
		}
		mask.Paths[i] = strings.Join(names, ".")
	}
	return nil
}

// resourceOf finds what a mask of an updating request is about: the request's other message (AIP-134).
func resourceOf(
	request protoreflect.MessageDescriptor, mask protoreflect.FieldDescriptor,
) protoreflect.MessageDescriptor {
	for i := range request.Fields().Len() {
		if field := request.Fields().Get(i); field != mask && field.Message() != nil {
			return field.Message()
		}
	}
	return nil
}

// bareQuery refuses parameters where the gateway passes over them: where the path and the body hold the whole request.
func bareQuery(r *http.Request, at *route) error {
	if r.URL.RawQuery == "" || at.query {
		return nil
	}
	name := "?" // a query that cannot be read
	if keys := slices.Sorted(maps.Keys(r.URL.Query())); len(keys) > 0 {
		name = printable(keys[0])
	}
	return kerr.InvalidField(name, "is not a parameter of the request")
}

// fieldAt follows a path of field names, JSON or proto.
func fieldAt(message protoreflect.MessageDescriptor, path []string) protoreflect.FieldDescriptor {
	var field protoreflect.FieldDescriptor
	for _, name := range path {
		if message == nil {
			return nil
		}
		if field = message.Fields().ByJSONName(name); field == nil {
			field = message.Fields().ByTextName(name)
		}
		if field == nil {
			return nil
		}
		message = field.Message()
	}
	return field
}

// jsonPath writes a path of field names in JSON names.
func jsonPath(message protoreflect.MessageDescriptor, path []string) string {
	names := make([]string, 0, len(path))
	for i := range path {
		names = append(names, fieldAt(message, path[:i+1]).JSONName())
	}
	return strings.Join(names, ".")
}
