package answer

import (
	"encoding/base64"
	"errors"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalars has how values are written, by kind. Numbers of 64 bits are texts.
var scalars = map[protoreflect.Kind]appender{
	protoreflect.BoolKind:     boolean,
	protoreflect.StringKind:   func(b []byte, v reflect.Value, _ Form) ([]byte, error) { return text(b, v.String()) },
	protoreflect.BytesKind:    base,
	protoreflect.Int32Kind:    signed,
	protoreflect.Sint32Kind:   signed,
	protoreflect.Sfixed32Kind: signed,
	protoreflect.Uint32Kind:   unsigned,
	protoreflect.Fixed32Kind:  unsigned,
	protoreflect.Int64Kind:    quoted(signed),
	protoreflect.Sint64Kind:   quoted(signed),
	protoreflect.Sfixed64Kind: quoted(signed),
	protoreflect.Uint64Kind:   quoted(unsigned),
	protoreflect.Fixed64Kind:  quoted(unsigned),
	protoreflect.FloatKind:    number(32),
	protoreflect.DoubleKind:   number(64),
}

func boolean(b []byte, v reflect.Value, _ Form) ([]byte, error) {
	return strconv.AppendBool(b, v.Bool()), nil
}

func signed(b []byte, v reflect.Value, _ Form) ([]byte, error) {
	return strconv.AppendInt(b, v.Int(), 10), nil
}

func unsigned(b []byte, v reflect.Value, _ Form) ([]byte, error) {
	return strconv.AppendUint(b, v.Uint(), 10), nil
}

func quoted(write appender) appender {
	return func(b []byte, v reflect.Value, form Form) ([]byte, error) {
		b, err := write(append(b, '"'), v, form)
		return append(b, '"'), err
	}
}

func base(b []byte, v reflect.Value, _ Form) ([]byte, error) {
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), v.Bytes()), '"'), nil
}

// enum gives how an enum's values are written: by name, or by number where that is not known.
func enum(descriptor protoreflect.EnumDescriptor) appender {
	if descriptor.FullName() == "google.protobuf.NullValue" {
		return func(b []byte, _ reflect.Value, _ Form) ([]byte, error) { return append(b, "null"...), nil }
	}
	names := map[int64]string{}
	for i := range descriptor.Values().Len() {
		value := descriptor.Values().Get(i)
		names[int64(value.Number())] = `"` + string(value.Name()) + `"`
	}
	return func(b []byte, v reflect.Value, _ Form) ([]byte, error) {
		if name, ok := names[v.Int()]; ok {
			return append(b, name...), nil
		}
		return strconv.AppendInt(b, v.Int(), 10), nil
	}
}

func number(bits int) appender {
	return func(b []byte, v reflect.Value, _ Form) ([]byte, error) { return float(b, v.Float(), bits), nil }
}

// float appends a number as ECMAScript writes it, as encoding/json does.
func float(b []byte, n float64, bits int) []byte {
	switch {
	case math.IsNaN(n):
		return append(b, `"NaN"`...)
	case math.IsInf(n, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(n, -1):
		return append(b, `"-Infinity"`...)
	}
	small, large := 1e-6, 1e21
	if bits == 32 {
		small, large = float64(float32(small)), float64(float32(large))
	}
	if size := math.Abs(n); size == 0 || size >= small && size < large {
		return strconv.AppendFloat(b, n, 'f', -1, bits)
	}
	b = strconv.AppendFloat(b, n, 'e', -1, bits)
	if end := len(b); b[end-4] == 'e' && b[end-3] == '-' && b[end-2] == '0' { // e-09 is e-9
		b = append(b[:end-2], b[end-1])
	}
	return b
}

var errNotUTF8 = errors.New("answer: a text is no UTF-8")

// text appends a string in quotes. What needs no escape is found by one scan and appended at once.
func text(b []byte, s string) ([]byte, error) {
	b = append(b, '"')
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return escaped(append(b, s[:i]...), s[i:])
		}
	}
	return append(append(b, s...), '"'), nil
}

// escaped appends the rest of a string, from where it is not plain, and the quote behind it.
func escaped(b []byte, s string) ([]byte, error) {
	const hex = "0123456789abcdef"
	done := 0 // so much of s is appended
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				return nil, errNotUTF8
			}
			i += size
			continue
		case c >= ' ' && c != '"' && c != '\\':
			i++
			continue
		}
		b = append(b, s[done:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		done = i
	}
	return append(append(b, s[done:]...), '"'), nil
}
