package answer

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// dictionary gives how a map is written: sorted by key, numbers as numbers.
func (b builder) dictionary(fd protoreflect.FieldDescriptor, held reflect.Type) (appender, error) {
	value, err := b.single(fd.MapValue(), held.Elem())
	if err != nil {
		return nil, err
	}
	return func(b []byte, v reflect.Value, form Form) ([]byte, error) {
		b = append(b, '{')
		keys := v.MapKeys()
		slices.SortFunc(keys, compareKeys)
		for _, key := range keys {
			before := len(b)
			var err error
			if b, err = text(next(b), keyText(key)); err != nil {
				return nil, err
			}
			b = append(b, ':')
			begin := len(b)
			if b, err = value(b, v.MapIndex(key), form); err != nil {
				return nil, err
			}
			if empty(b[begin:]) {
				b = b[:before]
			}
		}
		return append(b, '}'), nil
	}, nil
}

func compareKeys(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	case a.Kind() == reflect.Bool:
		return cmp.Compare(strconv.FormatBool(a.Bool()), strconv.FormatBool(b.Bool())) // false, true
	default:
		return cmp.Compare(a.String(), b.String())
	}
}

func keyText(key reflect.Value) string {
	if key.Kind() == reflect.String {
		return key.String()
	}
	return fmt.Sprint(key.Interface())
}
