package listing

import (
	"encoding/binary"
	"hash/fnv"
)

// Place is the end of a page: where the next one begins.
type Place struct {
	// Listing is the listing that the page is from, and Index how many of its items came up to here.
	Listing uint64
	Index   uint32
	// Rank is the rank of the last item, and Seen a running hash of the names of all items of that rank up to it. By
	// these the place is found in another listing: an item of that rank that came, went or moved before
	// it changes the hash.
	Rank int64
	Seen uint64
}

// placeSize is the length of a place in bytes.
const placeSize = 8 + 4 + 8 + 8

// Bytes writes the place, for a token.
func (p Place) Bytes() []byte {
	out := make([]byte, 0, placeSize)
	out = binary.BigEndian.AppendUint64(out, p.Listing)
	out = binary.BigEndian.AppendUint32(out, p.Index)
	out = binary.BigEndian.AppendUint64(out, uint64(p.Rank))
	return binary.BigEndian.AppendUint64(out, p.Seen)
}

// ParsePlace reads what Bytes wrote.
func ParsePlace(raw []byte) (p Place, ok bool) {
	if len(raw) != placeSize {
		return Place{}, false
	}
	return Place{
		Listing: binary.BigEndian.Uint64(raw),
		Index:   binary.BigEndian.Uint32(raw[8:]),
		Rank:    int64(binary.BigEndian.Uint64(raw[12:])),
		Seen:    binary.BigEndian.Uint64(raw[20:]),
	}, true
}

// hashed gives the hash of a name.
func hashed(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum64()
}

// seen adds a name's hash to a running one. The order counts.
func seen(running, name uint64) uint64 {
	h := fnv.New64a()
	var both [16]byte
	binary.BigEndian.PutUint64(both[:], running)
	binary.BigEndian.PutUint64(both[8:], name)
	_, _ = h.Write(both[:]) // never fails
	return h.Sum64()
}
