package listing

import (
	"container/list"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

const (
	// longest is how many times as long as unused a listing is held at most.
	longest = 12
	// part is how much of all one listing may take: half.
	part = 2
)

// Held holds listings in memory. Safe for concurrent use.
//
// When there is no room for more, the listing goes that was not used for the longest time, of the tenant that holds the
// most: a tenant alone may use all, and takes nothing from one that holds less.
type Held struct {
	hold time.Duration
	max  int64

	mu       sync.Mutex
	bytes    int64
	tenants  map[string]*share
	byID     map[uint64]*list.Element
	newest   map[Key]uint64 // by what it lists
	building map[*Builder]struct{}
}

// share is what a tenant holds.
type share struct {
	bytes    int64      // with those of listings that are being read
	listings *list.List // of *listing, the one used last at the end
}

// New makes a Held that holds a listing for so long after it was last used, and all together in no more than so many
// bytes. It holds nothing when either is zero.
func New(hold time.Duration, maxBytes int64) *Held {
	return &Held{
		hold: hold, max: maxBytes, tenants: map[string]*share{}, byID: map[uint64]*list.Element{},
		newest: map[Key]uint64{}, building: map[*Builder]struct{}{},
	}
}

// Bytes is how much memory is taken, with that of listings that are being read.
func (h *Held) Bytes() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes
}

// Page gives the page behind a place: from the listing that the place is of or, where another process read that, from
// the newest one of here that has the place, too. ok is false when there is none.
func (h *Held) Page(key Key, at Place, size int) (page Page, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.use(at.Listing); l != nil && l.Key == key && int(at.Index) <= len(l.items) {
		return l.page(at, int(at.Index), size), true
	}
	l := h.use(h.newest[key])
	if l == nil || at == (Place{}) {
		return Page{}, false
	}
	index, ok := l.behind(at)
	if !ok {
		return Page{}, false
	}
	return l.page(at, index, size), true
}

// use finds a listing and has it stay.
func (h *Held) use(id uint64) *listing {
	at := h.byID[id]
	if at == nil {
		return nil
	}
	l := at.Value.(*listing) //nolint:forcetypeassert // nothing else is in there
	h.tenants[l.Tenant].listings.MoveToBack(at)
	l.expiry.Reset(min(h.hold, time.Until(l.until)))
	return l
}

// Keep drops all listings under a consent but those that were read while it stood as it does.
func (h *Held) Keep(tenant, consent, standing string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	gone := func(k Key) bool { return k.Tenant == tenant && k.Consent == consent && k.Standing != standing }
	for b := range h.building {
		b.outdated = b.outdated || gone(b.Key)
	}
	t := h.tenants[tenant]
	if t == nil {
		return
	}
	for at := t.listings.Front(); at != nil; {
		next := at.Next()
		if l := at.Value.(*listing); gone(l.Key) { //nolint:forcetypeassert // nothing else is in there
			h.drop(l.id)
		}
		at = next
	}
}

// add holds a listing whose bytes are taken.
func (h *Held) add(l *listing) {
	for l.id == 0 || h.byID[l.id] != nil {
		var id [8]byte
		_, _ = rand.Read(id[:]) // never fails
		l.id = binary.BigEndian.Uint64(id[:])
	}
	h.byID[l.id] = h.share(l.Tenant).listings.PushBack(l)
	h.newest[l.Key] = l.id
	l.until = time.Now().Add(longest * h.hold)
	id := l.id // alone: a timer that was stopped keeps what its function refers to for a while
	l.expiry = time.AfterFunc(h.hold, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(id)
	})
}

// drop forgets a listing, if it is held.
func (h *Held) drop(id uint64) {
	at := h.byID[id]
	if at == nil {
		return
	}
	l := at.Value.(*listing) //nolint:forcetypeassert // nothing else is in there
	l.expiry.Stop()
	delete(h.byID, id)
	if h.newest[l.Key] == id {
		delete(h.newest, l.Key)
	}
	h.tenants[l.Tenant].listings.Remove(at)
	h.free(l.Tenant, l.bytes)
}

// take takes more memory for a tenant, in place of listings that are held if need be. ok is false when there is none to
// be had without taking it from a tenant that holds no more.
func (h *Held) take(tenant string, bytes int64) (ok bool) {
	for h.bytes+bytes > h.max {
		from := h.share(tenant)
		most := from.bytes + bytes
		for _, t := range h.tenants {
			if t.bytes > most && t.listings.Len() > 0 {
				from, most = t, t.bytes
			}
		}
		oldest := from.listings.Front()
		if oldest == nil {
			h.free(tenant, 0)
			return false
		}
		h.drop(oldest.Value.(*listing).id) //nolint:forcetypeassert // nothing else is in there
	}
	h.share(tenant).bytes += bytes
	h.bytes += bytes
	return true
}

// free gives memory back.
func (h *Held) free(tenant string, bytes int64) {
	h.bytes -= bytes
	if t := h.tenants[tenant]; t != nil {
		if t.bytes -= bytes; t.bytes == 0 && t.listings.Len() == 0 {
			delete(h.tenants, tenant)
		}
	}
}

func (h *Held) share(tenant string) *share {
	t := h.tenants[tenant]
	if t == nil {
		t = &share{listings: list.New()}
		h.tenants[tenant] = t
	}
	return t
}
