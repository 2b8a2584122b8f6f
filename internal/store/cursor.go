package store

import (
	"fmt"
	"strconv"
	"strings"
)

// Log names one of the two logs that can be followed.
type Log string

// The logs.
const (
	ConsentLog  Log = "consents"
	ShipmentLog Log = "shipments"
)

// Cursor is a place in a log: right behind one of its entries, or, when empty, before the first. Only stores look into
// it. It names the log that it belongs to and that log's epoch, a random id which is made with the database and copied
// with it: so a cursor stays good in every copy of the database, and is refused by any other.
type Cursor string

// NewCursor is for stores: the cursor behind the entry at a position, which must not be negative.
func NewCursor(log Log, epoch string, position int64) Cursor {
	// Of fixed width, so that cursors compare as their positions do.
	return Cursor(fmt.Sprintf("%s.%s.%016x", log, epoch, position))
}

// Position is for stores: the position that the cursor stands for, 0 for the empty one, or ErrCursor when it is not of
// this log and epoch.
func (c Cursor) Position(log Log, epoch string) (int64, error) {
	if c == "" {
		return 0, nil
	}
	digits, ok := strings.CutPrefix(string(c), string(log)+"."+epoch+".")
	position, err := strconv.ParseInt(digits, 16, 64)
	if !ok || err != nil || position < 0 || NewCursor(log, epoch, position) != c {
		return 0, ErrCursor
	}
	return position, nil
}

// Behind tells whether c lies behind other. Both must be of one log; cursors of two databases lie nowhere to each
// other.
func (c Cursor) Behind(other Cursor) bool {
	if other == "" || c == "" {
		return c != ""
	}
	return c.of() == other.of() && c > other
}

// of is what all cursors of one log and epoch have in common.
func (c Cursor) of() Cursor { return c[:max(strings.LastIndexByte(string(c), '.'), 0)] }
