// Package keys seals what must not be read from a copy of the database, and makes the values by which the database is
// searched instead of clear text. Its key, the store key, comes from the configuration and stands nowhere in the store.
//
// Sealing is Tink's AES-GCM over a keyset, so that a key can be rotated: new text is sealed with the primary key, and
// older keys of the set still open what they sealed. What is sealed is bound to its purpose, tenant and resource: moved
// to another row, it does not open.
package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"kontor.dev/kontor/internal/secret"
)

// Purpose tells what a value is for, so that no value of one purpose passes for one of another.
type Purpose string

// The purposes.
const (
	// ProviderState is what an adapter must remember about a consent, such as a token of its own.
	ProviderState Purpose = "provider-state"
	// CustomerReference and ConsentReference are callers' own ids.
	CustomerReference Purpose = "customer-reference"
	ConsentReference  Purpose = "consent-reference"
)

// ErrNoKey says that nothing can be sealed, since the configuration has no store key.
var ErrNoKey = errors.New("keys: there is no store key")

// errBadKey says nothing of the text, which may be a key with a typing error.
var errBadKey = errors.New("must be a store key, as `gateway keys store` prints it")

// errSealed says nothing of what did not open.
var errSealed = errors.New("keys: sealed with another key, or not for this resource")

// Keys seals and opens. A nil *Keys seals nothing; its lookups work all the same. It is safe for concurrent use.
type Keys struct {
	sealer tink.AEAD
	macs   map[Purpose]*macs
}

// New makes a store key: a keyset with one key of 256 bits, as one word of text.
func New() (secret.String, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return secret.String{}, err
	}
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&text)); err != nil {
		return secret.String{}, err
	}
	return secret.New(base64.RawURLEncoding.EncodeToString(text.Bytes())), nil
}

// Parse reads a store key. Its error never quotes the text. Without a text there is no key, and nothing can be sealed.
func Parse(text secret.String) (*Keys, error) {
	if text.IsZero() {
		return &Keys{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text.Reveal())
	if err != nil {
		return nil, errBadKey
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, errBadKey
	}
	sealer, err := aead.New(handle)
	if err != nil {
		return nil, errBadKey
	}
	return &Keys{sealer: sealer}, nil
}

// CanSeal tells whether there is a store key.
func (k *Keys) CanSeal() bool { return k != nil && k.sealer != nil }

// Seal seals a value for a purpose and a resource of a tenant. An empty value stays empty: it says nothing. Without a
// store key it answers ErrNoKey.
func (k *Keys) Seal(purpose Purpose, tenant, resource string, value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, nil
	}
	if !k.CanSeal() {
		return nil, ErrNoKey
	}
	return k.sealer.Encrypt(value, binding(purpose, tenant, resource))
}

// Open gives back what Seal was given, for the same purpose, tenant and resource.
func (k *Keys) Open(purpose Purpose, tenant, resource string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	if !k.CanSeal() {
		return nil, ErrNoKey
	}
	value, err := k.sealer.Decrypt(sealed, binding(purpose, tenant, resource))
	if err != nil {
		return nil, errSealed
	}
	return value, nil
}

// Lookup gives the value by which the store finds a text of a tenant again, always the same one for the same text.
// Nothing is to be looked up by an empty text: it gives nil.
func (k *Keys) Lookup(purpose Purpose, tenant, text string) []byte {
	if text == "" {
		return nil
	}
	sum := sha256.Sum256(binding(purpose, tenant, text))
	return sum[:]
}

// binding joins parts so that no two lists of parts give the same bytes.
func binding(purpose Purpose, parts ...string) []byte {
	out := appendSize(nil, len(purpose))
	out = append(out, purpose...)
	for _, part := range parts {
		out = appendSize(out, len(part))
		out = append(out, part...)
	}
	return out
}

func appendSize(out []byte, size int) []byte { return binary.BigEndian.AppendUint32(out, uint32(size)) }
