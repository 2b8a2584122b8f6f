// Package keys keeps a copy of the database from telling anything: what is looked up in it, or compared, is hashed with
// a key, and what is personal is sealed with a key of its customer.
//
// # Three layers
//
//   - The store key comes from the configuration and stands nowhere in the store. It only wraps: see StoreKey. It is a
//     keyset, so that it can be replaced without a pause.
//   - Working keys, one for each Purpose, are made once for each store and never change. The store holds them, wrapped
//     by the store key: see Keys. So replacing the store key changes no hash.
//   - Data keys, one for each customer and one for each shipment that has no customer, are made with their owner and
//     erased with them. The store holds them, wrapped by a working key: see Box. What an erased key sealed can be read
//     by nobody, wherever a copy of it lies.
//
// Sealing is AES-256-GCM and hashing HMAC-SHA-256. What is sealed is bound to its tenant, owner and place: moved to
// another row, it does not open. No key depends on the credentials of a provider.
package keys

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	daead "github.com/tink-crypto/tink-go/v2/daead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Purpose tells what a working key is for, so that no value of one purpose passes for one of another. The names stand
// in the store, and stay.
type Purpose string

// The purposes.
const (
	// Names hides providers' ids in resource names.
	Names Purpose = "names"
	// Fingerprints recognises an account under every consent of a tenant.
	Fingerprints Purpose = "fingerprints"
	// References finds what has a caller's own id.
	References Purpose = "references"
	// Requests recognises a request with its idempotency key, and seals its answer when that is about no customer.
	Requests Purpose = "requests"
	// Tokens recognises tokens in callbacks' addresses, and seals those of pages and streams.
	Tokens Purpose = "tokens"
	// AuditChain chains the entries of the audit trail.
	AuditChain Purpose = "audit-chain"
	// CustomerKeys wraps data keys.
	CustomerKeys Purpose = "customer-keys"
	// Identities compares whom a consent was asked of with who approved.
	Identities Purpose = "identities"
)

// purposes are all that there are.
var purposes = []Purpose{Names, Fingerprints, References, Requests, Tokens, AuditChain, CustomerKeys, Identities}

// keySize is the size of working keys and data keys in bytes.
const keySize = 32

// errSealed says nothing of what did not open.
var errSealed = errors.New("keys: sealed with another key, or for another place")

// Keys are a store's working keys. They are safe for concurrent use.
type Keys struct {
	working map[Purpose]*working
	boxes   boxes
}

// working is one working key, ready for use. Hashes and seals have keys of their own, derived from it.
type working struct {
	macs   macs
	sealer tink.AEAD
	same   tink.DeterministicAEAD
}

// macs holds keyed hashes that are not in use: making one costs as much as using it.
type macs struct {
	sync.Pool

	key []byte
}

// take gives one that has hashed nothing yet.
func (m *macs) take() hash.Hash {
	if h, ok := m.Get().(hash.Hash); ok {
		h.Reset()
		return h
	}
	return hmac.New(sha256.New, m.key)
}

// Fresh makes working keys that no store keeps, for tests: what they hash is found by nobody else.
func Fresh() *Keys {
	raw := map[Purpose][]byte{}
	for _, purpose := range purposes {
		raw[purpose] = newKey()
	}
	k, err := fromRaw(raw)
	if err != nil {
		panic(err) // cannot be: the keys are of the right size
	}
	return k
}

// newKey makes a working key or a data key.
func newKey() []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return key
}

// fromRaw makes working keys ready for use.
func fromRaw(raw map[Purpose][]byte) (*Keys, error) {
	k := &Keys{working: make(map[Purpose]*working, len(raw))}
	for _, purpose := range purposes {
		if len(raw[purpose]) != keySize {
			return nil, fmt.Errorf("keys: the working key for %s is not a key", purpose)
		}
		macKey, err := hkdf.Expand(sha256.New, raw[purpose], "kontor mac", keySize)
		if err != nil {
			return nil, err
		}
		sealKey, err := hkdf.Expand(sha256.New, raw[purpose], "kontor seal", keySize)
		if err != nil {
			return nil, err
		}
		w := &working{macs: macs{key: macKey}}
		if w.sealer, err = subtle.NewAESGCM(sealKey); err != nil {
			return nil, err
		}
		sameKey, err := hkdf.Expand(sha256.New, raw[purpose], "kontor seal the same", daead.AESSIVKeySize)
		if err != nil {
			return nil, err
		}
		if w.same, err = daead.NewAESSIV(sameKey); err != nil {
			return nil, err
		}
		k.working[purpose] = w
	}
	return k, nil
}

// MAC gives the keyed hash of a tenant and parts, 32 bytes: always the same for the same ones in this store, and
// another in any other store. No two lists of parts are taken for one another.
func (k *Keys) MAC(purpose Purpose, tenant string, parts ...[]byte) []byte {
	pool := &k.working[purpose].macs
	h := pool.take()
	defer pool.Put(h)
	var size [4]byte
	h.Write(appendSize(size[:0], len(tenant)))
	h.Write([]byte(tenant))
	for _, part := range parts {
		h.Write(appendSize(size[:0], len(part)))
		h.Write(part)
	}
	return h.Sum(make([]byte, 0, sha256.Size))
}

// Reference tells whose own id a text is.
type Reference string

// The references that callers give.
const (
	CustomerReference Reference = "customer"
	ConsentReference  Reference = "consent"
)

// Lookup gives the value by which the store finds what has a reference, always the same one for the same text.
// Nothing is to be looked up by an empty text: it gives nil.
func (k *Keys) Lookup(of Reference, tenant, text string) []byte {
	if text == "" {
		return nil
	}
	return k.MAC(References, tenant, []byte(of), []byte(text))
}

// Seal seals what belongs to no customer for a purpose, bound to a tenant and a place, such as a table and the key of a
// row.
func (k *Keys) Seal(purpose Purpose, tenant string, value []byte, place ...string) ([]byte, error) {
	return k.working[purpose].sealer.Encrypt(value, binding(tenant, place))
}

// Open gives back what Seal was given, for the same purpose, tenant and place.
func (k *Keys) Open(purpose Purpose, tenant string, sealed []byte, place ...string) ([]byte, error) {
	return open(k.working[purpose].sealer, sealed, binding(tenant, place))
}

// SealSame seals like Seal, but so that the same value gives the same bytes, for what is compared from outside. It is
// AES-SIV.
func (k *Keys) SealSame(purpose Purpose, tenant string, value []byte, place ...string) ([]byte, error) {
	return k.working[purpose].same.EncryptDeterministically(value, binding(tenant, place))
}

// OpenSame gives back what SealSame was given.
func (k *Keys) OpenSame(purpose Purpose, tenant string, sealed []byte, place ...string) ([]byte, error) {
	value, err := k.working[purpose].same.DecryptDeterministically(sealed, binding(tenant, place))
	if err != nil {
		return nil, errSealed
	}
	return value, nil
}

func open(with tink.AEAD, sealed, bound []byte) ([]byte, error) {
	value, err := with.Decrypt(sealed, bound)
	if err != nil {
		return nil, errSealed
	}
	return value, nil
}

// binding joins a tenant and the parts of a place so that no two lists of parts give the same bytes.
func binding(tenant string, place []string) []byte {
	size := 4 + len(tenant)
	for _, part := range place {
		size += 4 + len(part)
	}
	out := make([]byte, 0, size)
	for _, part := range slices.Concat([]string{tenant}, place) {
		out = append(appendSize(out, len(part)), part...)
	}
	return out
}

func appendSize(out []byte, size int) []byte { return binary.BigEndian.AppendUint32(out, uint32(size)) }
