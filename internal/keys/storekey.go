package keys

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"kontor.dev/kontor/internal/secret"
)

// Errors of store keys. None says anything of the text, which may be a key with a typing error.
var (
	// ErrNoStoreKey says that the configuration has no store key.
	ErrNoStoreKey = errors.New("store_key: is needed: `gateway keys store` prints one")
	// ErrOtherStoreKey says that the store belongs to another store key.
	ErrOtherStoreKey = errors.New("store_key: does not open this store's working keys: it is not the key that the " +
		"store was made with, nor has it that key among its older ones")
	errBadKey = errors.New("must be a store key, as `gateway keys store` prints it")
)

// StoreKey wraps a store's working keys. It is a keyset: its newest key wraps, and all of them unwrap.
type StoreKey struct {
	sealer tink.AEAD
	// newest is the id of the key that wraps; what it wrapped begins with it.
	newest uint32
}

// New makes a store key: a keyset with one key of 256 bits, as one word of text.
func New() (secret.String, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return secret.String{}, err
	}
	return write(handle)
}

// Rotate adds a new key to a store key. The new one wraps from now on, and those that were there unwrap.
func Rotate(text secret.String) (secret.String, error) {
	handle, err := read(text)
	if err != nil {
		return secret.String{}, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return secret.String{}, err
	}
	if err := manager.SetPrimary(id); err != nil {
		return secret.String{}, err
	}
	if handle, err = manager.Handle(); err != nil {
		return secret.String{}, err
	}
	return write(handle)
}

// Newest takes all keys but the newest out of a store key. What the others wrapped must have been wrapped anew.
func Newest(text secret.String) (secret.String, error) {
	handle, err := read(text)
	if err != nil {
		return secret.String{}, err
	}
	newest, err := handle.Primary()
	if err != nil {
		return secret.String{}, errBadKey
	}
	manager := keyset.NewManagerFromHandle(handle)
	for _, key := range handle.KeysetInfo().GetKeyInfo() {
		if key.GetKeyId() == newest.KeyID() {
			continue
		}
		if err := manager.Delete(key.GetKeyId()); err != nil {
			return secret.String{}, err
		}
	}
	if handle, err = manager.Handle(); err != nil {
		return secret.String{}, err
	}
	return write(handle)
}

// Parse reads a store key. Its error never quotes the text.
func Parse(text secret.String) (*StoreKey, error) {
	if text.IsZero() {
		return nil, ErrNoStoreKey
	}
	handle, err := read(text)
	if err != nil {
		return nil, err
	}
	newest, err := handle.Primary()
	if err != nil {
		return nil, errBadKey
	}
	sealer, err := aead.New(handle)
	if err != nil {
		return nil, errBadKey
	}
	return &StoreKey{sealer: sealer, newest: newest.KeyID()}, nil
}

func read(text secret.String) (*keyset.Handle, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text.Reveal())
	if err != nil {
		return nil, errBadKey
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, errBadKey
	}
	return handle, nil
}

func write(handle *keyset.Handle) (secret.String, error) {
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&text)); err != nil {
		return secret.String{}, err
	}
	return secret.New(base64.RawURLEncoding.EncodeToString(text.Bytes())), nil
}

// Ring is where a store keeps its working keys, wrapped. Several processes may use it at the same time.
type Ring interface {
	// WorkingKeys gives what is there.
	WorkingKeys(ctx context.Context) (map[Purpose][]byte, error)
	// AddWorkingKeys keeps the keys of those purposes that have none, all at once. Where there is one it stays.
	AddWorkingKeys(ctx context.Context, wrapped map[Purpose][]byte) error
	// RewrapWorkingKey puts a key that was wrapped anew in the place of how it was wrapped before, if that is still
	// there.
	RewrapWorkingKey(ctx context.Context, purpose Purpose, before, now []byte) error
}

// Unlock opens a store's working keys. Those that are missing are made; of several processes that do so at the same
// time, all end up with the same ones. What an older key of the set wrapped is wrapped anew, so that the older key can
// be taken out of the set afterwards. ErrOtherStoreKey says that the store has working keys and they do not open: then
// nothing is changed.
func (s *StoreKey) Unlock(ctx context.Context, ring Ring) (*Keys, error) {
	wrapped, err := ring.WorkingKeys(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.unwrap(wrapped); err != nil {
		return nil, err
	}
	made := map[Purpose][]byte{}
	for _, purpose := range purposes {
		if _, ok := wrapped[purpose]; ok {
			continue
		}
		if made[purpose], err = s.wrap(purpose, newKey()); err != nil {
			return nil, err
		}
	}
	if len(made) > 0 {
		if err := ring.AddWorkingKeys(ctx, made); err != nil {
			return nil, err
		}
		// Another process may have been faster: what counts is what is there.
		if wrapped, err = ring.WorkingKeys(ctx); err != nil {
			return nil, err
		}
	}
	raw, err := s.unwrap(wrapped)
	if err != nil {
		return nil, err
	}
	for purpose, key := range raw {
		before := wrapped[purpose]
		if s.wrappedByNewest(before) {
			continue
		}
		now, err := s.wrap(purpose, key)
		if err != nil {
			return nil, err
		}
		if err := ring.RewrapWorkingKey(ctx, purpose, before, now); err != nil {
			return nil, err
		}
	}
	return fromRaw(raw)
}

// Open opens working keys without changing anything, for programs that only read a store.
func (s *StoreKey) Open(wrapped map[Purpose][]byte) (*Keys, error) {
	raw, err := s.unwrap(wrapped)
	if err != nil {
		return nil, err
	}
	return fromRaw(raw)
}

func (s *StoreKey) wrap(purpose Purpose, key []byte) ([]byte, error) {
	return s.sealer.Encrypt(key, bindingOfWorkingKey(purpose))
}

// unwrap opens all working keys, those of purposes that only a newer version knows included.
func (s *StoreKey) unwrap(wrapped map[Purpose][]byte) (map[Purpose][]byte, error) {
	raw := make(map[Purpose][]byte, len(wrapped))
	for purpose, text := range wrapped {
		key, err := s.sealer.Decrypt(text, bindingOfWorkingKey(purpose))
		if err != nil {
			return nil, fmt.Errorf("%w (%s)", ErrOtherStoreKey, purpose)
		}
		raw[purpose] = key
	}
	return raw, nil
}

func bindingOfWorkingKey(purpose Purpose) []byte {
	return binding("kontor working key", []string{string(purpose)})
}

// wrappedByNewest tells whether the newest key of the set wrapped a text: Tink writes the key's id behind one byte.
func (s *StoreKey) wrappedByNewest(text []byte) bool {
	return len(text) > 5 && binary.BigEndian.Uint32(text[1:5]) == s.newest
}
