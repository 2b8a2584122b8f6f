package store

import (
	"context"
	"errors"
	"time"

	"kontor.dev/kontor/internal/keys"
)

// ErrMove says that a database cannot be copied into another kind, or that the place for the copy is taken. It comes
// wrapped, with what is wrong.
var ErrMove = errors.New("refused")

// Source is a database that nobody has open besides, as another kind of database is filled from it: see Driver.Fill.
type Source interface {
	// Origin tells what makes it this database.
	Origin() Origin
	// Rows passes each row of a table, in columns by name. The values are nil, int64, string or []byte, and the slice
	// that holds them is used again after fn has returned.
	Rows(ctx context.Context, table string, columns []string, fn func(values []any) error) error
	// Keys opens the working keys, as Archive.Keys does.
	Keys(ctx context.Context, key *keys.StoreKey) (*keys.Keys, error)
	// ViewAudit runs fn on the audit trails.
	ViewAudit(ctx context.Context, fn func(AuditTrails) error) error
	// Close lets others have it.
	Close() error
}

// Origin is what a copy has of a database besides its rows, so that it is the same to who holds tokens of it.
type Origin struct {
	// Epoch is that of its cursors.
	Epoch string
	// CreateTime is when it was made.
	CreateTime time.Time
	// Heads are the highest positions that its logs ever had, AuditHead that of the audit.
	Heads     map[Log]int64
	AuditHead int64
}

// Moved is how many rows of a table were copied, and how many were found afterwards, which were the same.
type Moved struct {
	Table       string
	Rows, Found int64
}
