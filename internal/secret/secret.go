// Package secret holds values that must not be shown: passwords, keys, addresses that carry a password.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted stands in for every secret.
const Redacted = "[redacted]"

// String is a secret text. Whatever prints, logs or encodes it gets Redacted; only Reveal gives the text itself. The
// zero String is no secret at all.
type String struct {
	// A pointer, since fmt prints unexported fields of a surrounding struct without asking any method: it then shows an
	// address.
	value *string
}

// New makes value a secret.
func New(value string) String { return String{value: &value} }

// Reveal gives the secret text. Call it where it is used, never where it is passed on.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
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
