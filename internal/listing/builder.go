package listing

import "time"

const (
	// step is how much memory is taken at once for a listing that is being read.
	step = 64 << 10
	// spare is how many times as many items as needed are kept of a listing that does not fit.
	spare = 4
)

// Builder takes the items of a listing while it is read, and makes one page of it. As long as there is room it keeps
// all of them, so that the listing can be held; else only what the page needs. It is for one goroutine.
type Builder struct {
	Key

	held *Held
	at   Place // the page is behind it; the zero Place for the first one
	size int

	items []item
	taken int64 // bytes that are taken
	used  int64 // of them
	whole bool  // items are all that came

	running uint64 // the hash of the names of the place's rank
	found   bool   // the place was come by, or there is none

	outdated bool // under Held's lock: the consent stands otherwise by now
}

// Build begins a listing of which the page of so many items behind a place is wanted; the first one for the zero Place.
// Whoever begins one closes it.
func (h *Held) Build(key Key, at Place, size int) *Builder {
	b := &Builder{Key: key, held: h, at: at, size: size, whole: h.hold > 0 && h.max > 0, found: at == (Place{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.building[b] = struct{}{}
	return b
}

// Close gives back what was taken for a listing that is not held.
func (b *Builder) Close() {
	b.held.mu.Lock()
	defer b.held.mu.Unlock()
	delete(b.held.building, b)
	b.release()
}

func (b *Builder) release() {
	if b.taken > 0 {
		b.held.free(b.Tenant, b.taken)
		b.taken = 0
	}
}

// Add adds an item. Those of a lower rank come first in the listing, and those of one rank in the order of adding.
func (b *Builder) Add(rank int64, name string, data []byte) {
	i := item{rank: rank, name: hashed(name), data: data}
	if b.whole && !b.room(i.bytes()) {
		b.shrink()
	}
	if b.wants(i) || b.whole {
		b.items = append(b.items, i)
	}
	if !b.whole && len(b.items) > spare*(b.size+1) {
		b.prune()
	}
}

// wants tells whether an item is behind the place. It is asked about every one, in the order in which they come.
func (b *Builder) wants(i item) bool {
	if b.at == (Place{}) || i.rank > b.at.Rank {
		return true
	}
	if i.rank < b.at.Rank || b.found {
		return i.rank == b.at.Rank
	}
	b.running = seen(b.running, i.name)
	b.found = b.running == b.at.Seen
	return false
}

// room takes memory for an item. ok is false when there is none.
func (b *Builder) room(bytes int64) (ok bool) {
	if b.used += bytes; b.used <= b.taken {
		return true
	}
	more := max(step, b.used-b.taken)
	b.held.mu.Lock()
	defer b.held.mu.Unlock()
	if b.taken+more > b.held.max/part || b.outdated || !b.held.take(b.Tenant, more) {
		return false
	}
	b.taken += more
	return true
}

// shrink has the builder keep what the page needs alone.
func (b *Builder) shrink() {
	all := b.items
	b.whole, b.items, b.running, b.found = false, nil, 0, b.at == (Place{})
	for _, i := range all {
		if b.wants(i) {
			b.items = append(b.items, i)
		}
	}
	b.prune()
	b.held.mu.Lock()
	defer b.held.mu.Unlock()
	b.release()
}

// prune drops what the page does not need. One item more than its size tells that another page follows.
func (b *Builder) prune() {
	inOrder(b.items)
	if kept := min(len(b.items), b.size+1); kept < len(b.items) {
		clear(b.items[kept:])
		b.items = b.items[:kept]
	}
}

// Page gives the page, when all items were added: from what was read, and whether it is complete. The listing is held
// when another page follows. ok is false when the place was not found.
func (b *Builder) Page(read time.Time, complete bool) (page Page, ok bool) {
	if !b.found {
		return Page{}, false
	}
	inOrder(b.items)
	l := &listing{Key: b.Key, read: read, complete: complete, items: b.items, bytes: b.taken}
	if !b.whole {
		return l.cut(b.items, b.at, 0, b.size), true
	}
	index := 0
	if b.at != (Place{}) {
		if index, ok = l.behind(b.at); !ok {
			return Page{}, false
		}
	}
	if len(b.items)-index > b.size {
		b.hold(l)
	}
	return l.page(b.at, index, b.size), true
}

// hold holds the listing, unless its consent stands otherwise by now.
func (b *Builder) hold(l *listing) {
	b.held.mu.Lock()
	defer b.held.mu.Unlock()
	if b.outdated {
		return
	}
	b.taken = 0 // the listing's now
	b.held.add(l)
}
