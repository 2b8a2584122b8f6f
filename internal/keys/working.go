package keys

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"sync"
)

// The purposes of working keys. Each has a key of its own, made once for each store; it never changes.
const (
	// AuditChain chains the entries of the audit trail.
	AuditChain Purpose = "audit-chain"
)

// workingPurposes are all purposes that have a working key.
var workingPurposes = []Purpose{AuditChain}

// keyBytes is the size of a working key.
const keyBytes = 32

// Fresh makes working keys that no store keeps, for tests: what they hash is found by nobody else.
func Fresh() *Keys {
	k := &Keys{macs: map[Purpose]*macs{}}
	for _, purpose := range workingPurposes {
		var key [keyBytes]byte
		_, _ = rand.Read(key[:]) // never fails
		k.macs[purpose] = newMACs(key[:])
	}
	return k
}

// MAC gives the keyed hash of a tenant and parts, 32 bytes: always the same for the same ones in this store, and
// another in any other store. No two lists of parts are taken for one another. It panics where there are no working
// keys, since a hash without a key would be stored unseen.
func (k *Keys) MAC(purpose Purpose, tenant string, parts ...[]byte) []byte {
	m := k.macs[purpose]
	h := m.pool.Get().(hash.Hash)
	defer m.pool.Put(h)
	h.Reset()
	h.Write(binding("", tenant))
	var size [8]byte
	for _, part := range parts {
		h.Write(appendSize(size[:0], len(part)))
		h.Write(part)
	}
	return h.Sum(make([]byte, 0, sha256.Size))
}

// macs makes keyed hashes with one key. They are reused, since making one costs as much as using it.
type macs struct{ pool sync.Pool }

func newMACs(key []byte) *macs {
	return &macs{pool: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}
