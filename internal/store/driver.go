package store

import (
	"context"

	"kontor.dev/kontor/internal/keys"
)

// Driver opens the databases whose address begins with a scheme. The program has a list of them: a further kind of
// database is one more entry.
type Driver struct {
	// Scheme is what stands before the first colon of an address, such as "sqlite".
	Scheme string
	// Form is how an address looks, for people, such as "sqlite:<path>".
	Form string
	// Check says what is wrong with an address, of which it gets what stands behind the colon. The error never quotes
	// it: it may hold a password.
	Check func(rest string) error
	// Open opens the database for this process, with the store key that opens its working keys. Where a database is not
	// made for several, it refuses one that another process has.
	Open func(ctx context.Context, rest string, key *keys.StoreKey) (Database, error)
	// OpenArchive opens it for reading alone, beside whatever processes have it.
	OpenArchive func(ctx context.Context, rest string) (Archive, error)
}

// Archive reads a database for exports and backups. It changes nothing, and keeps nobody from writing.
type Archive interface {
	// ViewAudit runs fn on one consistent state of the audit trails.
	ViewAudit(ctx context.Context, fn func(AuditTrails) error) error
	// Foreign names what is in the database and was not made by this Kontor, such as a trigger that changes what is
	// written, and what is missing of what it made: as much as this kind of database can tell.
	Foreign(ctx context.Context) ([]string, error)
	// Keys opens the working keys, for who verifies what was hashed with them.
	Keys(ctx context.Context, key *keys.StoreKey) (*keys.Keys, error)
	// Backup writes the database as it stands at one moment into a new file.
	Backup(ctx context.Context, path string) error
	Close() error
}

// AuditTrails reads the audit trails of all tenants.
type AuditTrails interface {
	// Tenants lists the tenants that have entries, or had, in order.
	Tenants() ([]string, error)
	// Roll gives the audit's roll, nil for none.
	Roll() (*AuditRoll, error)
	// Trail lists entries of all tenants behind a position, in order.
	Trail(after int64, limit int) ([]Audit, error)
	// Of reads one tenant's trail.
	Of(tenant string) AuditReader
}
