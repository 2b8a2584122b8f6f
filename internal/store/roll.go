package store

import (
	"bytes"
	"slices"

	"kontor.dev/kontor/internal/keys"
)

// AuditRoll are all tenants that ever had an entry of the audit sealed, so that one of which everything was taken out
// is missed. Who has no key can take a tenant neither off it nor onto it.
type AuditRoll struct {
	Tenants []string
	// MAC is a keyed hash of them.
	MAC []byte
}

// NewAuditRoll makes one, of tenants in order.
func NewAuditRoll(k Hasher, tenants []string) *AuditRoll {
	return &AuditRoll{Tenants: tenants, MAC: rollMAC(k, tenants)}
}

// Hasher makes keyed hashes, as *keys.Keys does.
type Hasher interface {
	MAC(purpose keys.Purpose, tenant string, parts ...[]byte) []byte
}

// Genuine tells whether the roll was made with the key.
func (r *AuditRoll) Genuine(k Hasher) bool { return bytes.Equal(r.MAC, rollMAC(k, r.Tenants)) }

// Has tells whether a tenant is on it.
func (r *AuditRoll) Has(tenant string) bool { return slices.Contains(r.Tenants, tenant) }

// With makes the roll with one more tenant.
func (r *AuditRoll) With(k Hasher, tenant string) *AuditRoll {
	tenants := append(slices.Clone(r.Tenants), tenant)
	slices.Sort(tenants)
	return NewAuditRoll(k, tenants)
}

func rollMAC(k Hasher, tenants []string) []byte {
	parts := [][]byte{[]byte("roll")}
	for _, tenant := range tenants {
		parts = append(parts, []byte(tenant))
	}
	return k.MAC(keys.AuditChain, "", parts...)
}
