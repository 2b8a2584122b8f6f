package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
)

// MAC makes keyed hashes with a working key of the store, as *keys.Keys does. No two lists of parts give the same hash.
type MAC interface {
	MAC(purpose keys.Purpose, tenant string, parts ...[]byte) []byte
}

// What is hashed begins with what it is, so that no hash of one passes for one of another.
var (
	labelEntry      = []byte("entry")
	labelSeal       = []byte("seal")
	labelCheckpoint = []byte("checkpoint")
	labelCut        = []byte("cut")
)

// place is where one stands in a tenant's chain: behind an entry, or before the first.
type place struct {
	position, sequence int64
	chain              []byte
}

// placeOf is the place that a seal ends at, that before the first entry for none.
func placeOf(seal *store.AuditSeal) place {
	if seal == nil {
		return place{}
	}
	return place{position: seal.Position, sequence: seal.Count, chain: seal.Chain}
}

// next gives the place behind the next entry. The entry's own Sequence and Chain do not matter.
func (p place) next(mac MAC, e *store.Audit) place {
	sequence := p.sequence + 1
	return place{
		position: e.Position, sequence: sequence,
		chain: mac.MAC(keys.AuditChain, e.Tenant, labelEntry, p.chain, encode(e, sequence)),
	}
}

// same tells whether two places are one.
func (p place) same(other place) bool {
	return p.position == other.position && p.sequence == other.sequence && bytes.Equal(p.chain, other.chain)
}

// encoding is the first byte of an encoded entry. Another way to encode one needs another byte.
const encoding = 1

// encode writes down all of an entry, in one way only: numbers in eight bytes, texts with their length.
func encode(e *store.Audit, sequence int64) []byte {
	out := make([]byte, 0, 256)
	out = append(out, encoding)
	for _, n := range []int64{e.Position, sequence, micros(e.Time), micros(e.FirstTime), e.Count} {
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	for _, text := range []string{e.Tenant, e.Actor, e.Method, e.Resource, e.Peer, e.RequestID, e.Outcome} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(text)))
		out = append(out, text...)
	}
	return out
}

// micros is an instant as stores keep it.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// seal makes the seal that ends at a place.
func (p place) seal(mac MAC, tenant string, at time.Time) *store.AuditSeal {
	s := &store.AuditSeal{
		Tenant: tenant, Position: p.position, Count: p.sequence, Chain: p.chain,
		Time: time.UnixMicro(at.UnixMicro()).UTC(), // as it comes back
	}
	s.MAC = sealMAC(mac, labelSeal, s)
	return s
}

// checkpointAt makes a seal say that the chain goes through it, not that the chain ends there: so a checkpoint of the
// store cannot pass for the seal, and let what was sealed after it vanish.
func checkpointAt(mac MAC, head *store.AuditSeal) *store.AuditSeal {
	return relabelled(mac, labelCheckpoint, head)
}

// cutAt makes a seal say that everything up to it was removed. It takes the key to make one: so what was taken out
// cannot pass for what retention removed.
func cutAt(mac MAC, checkpoint *store.AuditSeal) *store.AuditSeal {
	return relabelled(mac, labelCut, checkpoint)
}

func relabelled(mac MAC, label []byte, s *store.AuditSeal) *store.AuditSeal {
	other := *s
	other.MAC = sealMAC(mac, label, s)
	return &other
}

// genuine tells whether a seal was made with the key, for what its label says.
func genuine(mac MAC, label []byte, s *store.AuditSeal) bool {
	return bytes.Equal(s.MAC, sealMAC(mac, label, s))
}

func sealMAC(mac MAC, label []byte, s *store.AuditSeal) []byte {
	var numbers []byte
	for _, n := range []int64{s.Position, s.Count, micros(s.Time)} {
		numbers = binary.BigEndian.AppendUint64(numbers, uint64(n))
	}
	return mac.MAC(keys.AuditChain, s.Tenant, label, numbers, s.Chain)
}

// Checkpoint is a place in a tenant's chain that was written down outside the store: in a log line, or an export.
type Checkpoint struct {
	Tenant          string
	Position, Count int64
	Chain           []byte
}

// CheckpointOf gives what is written down of a seal.
func CheckpointOf(s *store.AuditSeal) Checkpoint {
	return Checkpoint{Tenant: s.Tenant, Position: s.Position, Count: s.Count, Chain: s.Chain}
}

// String gives the checkpoint as one word: <tenant>:<position>:<count>:<chain value>.
func (c Checkpoint) String() string {
	return fmt.Sprintf("%s:%d:%d:%s", c.Tenant, c.Position, c.Count, base64.RawURLEncoding.EncodeToString(c.Chain))
}

var errCheckpoint = errors.New("must be a checkpoint, as the log and exports have it")

// ParseCheckpoint is the inverse of String.
func ParseCheckpoint(text string) (c Checkpoint, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 4 || parts[0] == "" {
		return c, errCheckpoint
	}
	c.Tenant = parts[0]
	for i, number := range []*int64{&c.Position, &c.Count} {
		if *number, err = strconv.ParseInt(parts[i+1], 10, 64); err != nil || *number < 0 {
			return c, errCheckpoint
		}
	}
	if c.Chain, err = base64.RawURLEncoding.DecodeString(parts[3]); err != nil {
		return c, errCheckpoint
	}
	return c, nil
}

func (c Checkpoint) place() place {
	return place{position: c.Position, sequence: c.Count, chain: c.Chain}
}
