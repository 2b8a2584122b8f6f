// Package jsonread reads JSON into Go values while it arrives. What encoding/json accepts it accepts, and with the same
// outcome, except that of a list that comes twice in one object only the later one counts.
//
// The grammar is jsontext's, the tokenizer of encoding/json/v2. What lives here is how members find their fields: by a
// table for each struct, in place of reflection on its tags. What does not: limits on a body (providers/upstream), and
// what a provider's values mean (its adapter).
//
// Reading ends with the first error, whether the text is malformed or a value has the wrong type: the answer is
// refused.
package jsonread

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Decoder gives the tokens and values of a text as it arrives.
type Decoder struct {
	*jsontext.Decoder
	whole bool
	from  int64 // where the value began that is read as a whole
}

// KeptFrom is the offset from which on the text is still kept, by the decoder or by who reads a value as a whole.
func (d *Decoder) KeptFrom() int64 {
	if d.whole {
		return d.from
	}
	return d.InputOffset()
}

// Whole reads a value that is kept until it is whole, so that all of it counts towards a limit on what is kept.
func Whole[T any](d *Decoder, into *T, read func(*Decoder, *T) error) error {
	if d.whole {
		return read(d, into) // as part of another
	}
	d.whole, d.from = true, d.InputOffset()
	err := read(d, into)
	d.whole = false
	return err
}

// Reader is a value that reads itself, as encoding/json/v2 names it.
type Reader interface {
	// UnmarshalJSONFrom reads one value. null leaves the value as it is.
	UnmarshalJSONFrom(d *Decoder) error
}

// NewDecoder makes a decoder that takes what encoding/json takes: names that come twice, and invalid UTF-8.
func NewDecoder(r io.Reader) *Decoder {
	return &Decoder{
		Decoder: jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
	}
}

// TypeError says that a value is of another kind than its field. It never quotes the value.
type TypeError struct {
	// Field is where the value stands, in the names of our tables: "logins.accounts".
	Field string
}

// Error implements error.
func (e *TypeError) Error() string { return "the value at " + e.Field + " has the wrong type" }

// Member says how one member of an object is read into a T.
type Member[T any] struct {
	name string
	read func(d *Decoder, into *T) error
}

// At makes the member of that name. As with encoding/json, its case makes no difference.
func At[T any](name string, read func(d *Decoder, into *T) error) Member[T] {
	return Member[T]{name, read}
}

// Members are those of an object that matter. All others are skipped.
type Members[T any] []Member[T]

// Read reads an object. null leaves into as it is.
func (m Members[T]) Read(d *Decoder, into *T) error {
	if null, err := begin(d, '{'); null || err != nil {
		return err
	}
	next := 0 // most senders keep to one order, so the member behind the last one is looked at first
	for d.PeekKind() != '}' {
		name, err := d.ReadValue()
		if err != nil {
			return err
		}
		at := m.find(name, next)
		if at < 0 {
			// The decoder keeps the names of all objects that it is inside of.
			if err := Whole(d, into, func(d *Decoder, _ *T) error { return d.SkipValue() }); err != nil {
				return err
			}
			continue
		}
		next = at + 1
		if err := m[at].read(d, into); err != nil {
			return within(m[at].name, err)
		}
	}
	_, err := d.ReadToken()
	return err
}

// find gives the place of a quoted name, from next on and then from the start; -1 when it is none of ours.
func (m Members[T]) find(quoted []byte, next int) int {
	name := quoted[1 : len(quoted)-1]
	for i := range m {
		at := i + next
		if at >= len(m) {
			at -= len(m)
		}
		if string(name) == m[at].name {
			return at
		}
	}
	if bytes.IndexByte(name, '\\') >= 0 {
		name = []byte(Text(quoted))
	}
	for at := range m {
		if strings.EqualFold(string(name), m[at].name) {
			return at
		}
	}
	return -1
}

// List reads a list, and hands element the decoder before each of its values. null is a list without values.
func List(d *Decoder, element func(position int) error) error {
	if null, err := begin(d, '['); null || err != nil {
		return err
	}
	for position := 0; d.PeekKind() != ']'; position++ {
		if err := element(position); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

// Slice reads a list into a slice. null makes it nil.
func Slice[T any](d *Decoder, into *[]T, read func(*Decoder, *T) error) error {
	*into = nil
	if d.PeekKind() == '[' {
		*into = []T{}
	}
	return List(d, func(int) error {
		var zero T
		*into = append(*into, zero)
		return read(d, &(*into)[len(*into)-1])
	})
}

// Pointer reads a value that may be missing. null makes it nil.
func Pointer[T any](d *Decoder, into **T, read func(*Decoder, *T) error) error {
	if d.PeekKind() == 'n' {
		*into = nil
		return d.SkipValue()
	}
	if *into == nil {
		*into = new(T)
	}
	return read(d, *into)
}

// Value lets a type that encoding/json knows read one value.
func Value(d *Decoder, into json.Unmarshaler) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	return into.UnmarshalJSON(value)
}

// Bool reads true or false. null leaves into as it is.
func Bool(d *Decoder, into *bool) error {
	switch kind := d.PeekKind(); kind {
	case 't', 'f':
		*into = kind == 't'
	case 'n':
	default:
		return wrongKind(d)
	}
	return d.SkipValue()
}

// Text gives the text of a JSON string that is well formed. What is no UTF-8 in it, and half of a surrogate pair,
// becomes U+FFFD.
func Text(quoted []byte) string {
	inside := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) {
		return string(inside)
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // the error only tells of what U+FFFD stands for
	return string(text)
}

// begin reads the bracket that opens an object or a list.
func begin(d *Decoder, opening jsontext.Kind) (null bool, err error) {
	switch d.PeekKind() {
	case opening:
		_, err := d.ReadToken()
		return false, err
	case 'n':
		return true, d.SkipValue()
	default:
		return false, wrongKind(d)
	}
}

// wrongKind refuses the next value, which may also be malformed.
func wrongKind(d *Decoder) error {
	if err := d.SkipValue(); err != nil {
		return err
	}
	return &TypeError{}
}

// within says in which member an error happened.
func within(name string, err error) error {
	if wrong, ok := err.(*TypeError); ok { //nolint:errorlint // only our own, and before anybody wraps it
		wrong.Field = strings.TrimSuffix(name+"."+wrong.Field, ".")
	}
	return err
}
