package providers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"
)

var errNotJSON = errors.New("not one JSON value")

// OpenObject turns an object whose members the provider does not document into a Struct, whole. A number whose value a
// double cannot carry exactly becomes a string with the number's text. An absent value or null gives nil, and a value
// that is no object stands under the member "value". An error never quotes the input.
func OpenObject(raw json.RawMessage) (*structpb.Struct, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, errNotJSON
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotJSON
	}
	switch value := value.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return openStruct(value), nil
	default:
		return openStruct(map[string]any{"value": value}), nil
	}
}

func openStruct(members map[string]any) *structpb.Struct {
	object := &structpb.Struct{Fields: make(map[string]*structpb.Value, len(members))}
	for name, value := range members {
		object.Fields[name] = openValue(value)
	}
	return object
}

func openValue(value any) *structpb.Value {
	switch value := value.(type) {
	case bool:
		return structpb.NewBoolValue(value)
	case string:
		return structpb.NewStringValue(value)
	case json.Number:
		if double, exact := exactDouble(value.String()); exact {
			return structpb.NewNumberValue(double)
		}
		return structpb.NewStringValue(value.String())
	case []any:
		list := &structpb.ListValue{Values: make([]*structpb.Value, len(value))}
		for i, element := range value {
			list.Values[i] = openValue(element)
		}
		return structpb.NewListValue(list)
	case map[string]any:
		return structpb.NewStructValue(openStruct(value))
	default: // nil is all that is left of what encoding/json makes
		return structpb.NewNullValue()
	}
}

// exactDouble gives the double that a JSON number's text stands for, and whether the double's shortest text stands for
// the same number.
func exactDouble(text string) (float64, bool) {
	double, err := strconv.ParseFloat(text, 64) //nolint:forbidigo // whether it is exact is what is found out here
	if err != nil {
		return 0, false
	}
	want, ok := canonical(text)
	if !ok {
		return 0, false
	}
	got, ok := canonical(strconv.FormatFloat(double, 'e', -1, 64))
	return double, ok && got == want
}

// decimal is a number as sign, digits without zeros at either end, and the power of ten of the last digit. Zero has no
// digits.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// canonical takes a number's text apart. It works on the text alone: to compute with 1e400000000 would fill the memory.
func canonical(text string) (decimal, bool) {
	var number decimal
	text, number.negative = strings.CutPrefix(text, "-")
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		exponent, err := strconv.ParseInt(text[at+1:], 10, 32)
		if err != nil {
			return decimal{}, false
		}
		text, number.exponent = text[:at], int(exponent)
	}
	whole, fraction, _ := strings.Cut(text, ".")
	number.exponent -= len(fraction)
	digits := strings.TrimLeft(whole+fraction, "0")
	number.digits = strings.TrimRight(digits, "0")
	number.exponent += len(digits) - len(number.digits)
	if number.digits == "" {
		number.exponent = 0
	}
	return number, true
}
