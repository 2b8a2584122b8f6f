// Package secret holds values that must not be shown: passwords, keys, addresses that carry a password.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
)

// Redacted stands in for every secret.
const Redacted = "[redacted]"

// String is a secret text. Whatever prints, logs or encodes it gets Redacted; only Reveal gives the text itself. The
// zero String is no secret at all. Copies share the text: Replace changes what all of them reveal.
type String struct {
	// A pointer, since fmt prints unexported fields of a surrounding struct without asking any method: it then shows an
	// address.
	value *atomic.Pointer[string]
}

// New makes value a secret.
func New(value string) String {
	s := String{value: &atomic.Pointer[string]{}}
	s.value.Store(&value)
	return s
}

// Reveal gives the secret text. Call it where it is used, never where it is passed on: whoever keeps the text does not
// hear of a Replace.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value.Load()
}

// Replace puts another text in the place of this one, for all copies. It tells whether it could: the zero String has no
// place.
func (s String) Replace(by String) bool {
	if s.value == nil {
		return false
	}
	text := by.Reveal()
	s.value.Store(&text)
	return true
}

// IsZero tells whether there is no secret text.
func (s String) IsZero() bool { return s.Reveal() == "" }

// Equal tells whether both are the same text, or both are none. Compare with it: == compares where the texts lie.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format prints Redacted for every verb and flag.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String gives Redacted.
func (s String) String() string { return Redacted }

// GoString gives Redacted, for %#v.
func (s String) GoString() string { return Redacted }

// LogValue gives Redacted to slog.
func (s String) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText gives Redacted to every encoding that asks for text, such as XML and keys in JSON.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON gives Redacted as a JSON string.
func (s String) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalYAML gives Redacted to YAML.
func (s String) MarshalYAML() (any, error) { return Redacted, nil }
