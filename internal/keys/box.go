package keys

import (
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Box seals and opens what belongs to one owner of a tenant, with the owner's data key. It is safe for concurrent use.
type Box struct{ sealer tink.AEAD }

// NewBox makes an owner's data key: what seals with it, and the key as the store keeps it, wrapped. It opens for no
// other owner or tenant.
func (k *Keys) NewBox(tenant, owner string) (b *Box, wrapped []byte, err error) {
	key := newKey()
	wrapped, err = k.working[CustomerKeys].sealer.Encrypt(key, binding(tenant, []string{owner}))
	if err != nil {
		return nil, nil, err
	}
	sealer, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, nil, err
	}
	return &Box{sealer: sealer}, wrapped, nil
}

// Box gives what seals and opens with an owner's wrapped data key. The wrapped key is read with what it is for, so that
// an erased one opens nothing; that it need not be unwrapped each time, boxes are remembered.
func (k *Keys) Box(tenant, owner string, wrapped []byte) (*Box, error) {
	id := boxID{tenant: tenant, owner: owner, wrapped: string(wrapped)}
	if b := k.boxes.get(id); b != nil {
		return b, nil
	}
	key, err := k.working[CustomerKeys].sealer.Decrypt(wrapped, binding(tenant, []string{owner}))
	if err != nil {
		return nil, errSealed
	}
	sealer, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, errSealed
	}
	b := &Box{sealer: sealer}
	k.boxes.put(id, b)
	return b, nil
}

// Seal seals a value for a place, such as a table's column and the key of a row.
func (b *Box) Seal(value []byte, place ...string) ([]byte, error) {
	return b.sealer.Encrypt(value, binding("", place))
}

// Open gives back what Seal was given, for the same place.
func (b *Box) Open(sealed []byte, place ...string) ([]byte, error) {
	return open(b.sealer, sealed, binding("", place))
}

// boxID tells boxes apart.
type boxID struct{ tenant, owner, wrapped string }

// boxesKept bounds how many boxes are remembered, at about a kilobyte each.
const boxesKept = 8192

// boxes remembers those that were used last: when half of boxesKept are young, the old ones are forgotten and the young
// ones become old.
type boxes struct {
	mu         sync.Mutex
	young, old map[boxID]*Box
}

func (c *boxes) get(id boxID) *Box {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.young[id]; b != nil {
		return b
	}
	b := c.old[id]
	if b != nil {
		c.add(id, b)
	}
	return b
}

func (c *boxes) put(id boxID, b *Box) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(id, b)
}

func (c *boxes) add(id boxID, b *Box) {
	if len(c.young) >= boxesKept/2 || c.young == nil {
		c.young, c.old = make(map[boxID]*Box), c.young
	}
	c.young[id] = b
}
