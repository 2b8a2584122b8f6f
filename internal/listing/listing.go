// Package listing cuts what was read at a provider into pages, and holds it in memory while a caller goes through them,
// so that all pages are one read. A page neither skips nor repeats: it is from the same listing as the one before, or
// from one that was read anew, behind the place where that one ended. What cannot be found again is told.
//
// What is held is bank data: it is nowhere but in memory, nothing prints it, and it goes with its consent.
package listing

import (
	"cmp"
	"slices"
	"time"
)

// Key says whose a listing is and what it lists.
type Key struct {
	Tenant, Consent string
	// Standing is how the consent stood when the listing was read: as soon as it stands otherwise, the listing is gone.
	Standing string
	// Query is what was asked for.
	Query string
}

// Page is a part of a listing. What it holds is shared, and must not be changed.
type Page struct {
	// Items are the items as they were added.
	Items [][]byte
	// Next is where the next page begins, nil on the last one.
	Next *Place
	// Read is when the listing was read.
	Read time.Time
	// Complete is what the listing was said to be.
	Complete bool
}

// listing is what was read at one time, in order.
type listing struct {
	Key

	id       uint64
	read     time.Time
	complete bool
	items    []item
	bytes    int64
	expiry   *time.Timer
	until    time.Time // the latest end, however often it is used
}

type item struct {
	rank int64
	name uint64 // its hash
	data []byte
}

// itemBytes is what an item takes beside its data: the item itself, and what the allocator rounds up.
const itemBytes = 64

func (i item) bytes() int64 { return int64(len(i.data)) + itemBytes }

// inOrder sorts items by rank. Those of one rank stay in the order in which they came.
func inOrder(items []item) {
	slices.SortStableFunc(items, func(a, b item) int { return cmp.Compare(a.rank, b.rank) })
}

// behind finds a place of another listing: how many items are before it.
func (l *listing) behind(p Place) (index int, ok bool) {
	first, _ := slices.BinarySearchFunc(l.items, p.Rank, func(i item, rank int64) int {
		return cmp.Compare(i.rank, rank)
	})
	running := uint64(0)
	for i := first; i < len(l.items) && l.items[i].rank == p.Rank; i++ {
		if running = seen(running, l.items[i].name); running == p.Seen {
			return i + 1, true
		}
	}
	return 0, false
}

// page gives size items behind the first index ones, which end at the place at.
func (l *listing) page(at Place, index, size int) Page {
	return l.cut(l.items[index:], at, index, size)
}

// cut makes a page of the first of items, which follow the place at: index items are before them.
func (l *listing) cut(items []item, at Place, index, size int) Page {
	page := Page{Read: l.read, Complete: l.complete, Items: make([][]byte, 0, min(size, len(items)))}
	rank, running := at.Rank, at.Seen
	for _, i := range items[:min(size, len(items))] {
		if i.rank != rank {
			rank, running = i.rank, 0
		}
		running = seen(running, i.name)
		page.Items = append(page.Items, i.data)
	}
	if len(items) > size {
		page.Next = &Place{Listing: l.id, Index: uint32(index + size), Rank: rank, Seen: running}
	}
	return page
}
