package store

import (
	"context"
	"errors"
	"time"

	"kontor.dev/kontor/internal/keys"
)

// Driver opens the databases whose address begins with a scheme. The program has a list of them: a further kind of
// database is one more entry.
type Driver struct {
	// Scheme is what stands before the first colon of an address, such as "sqlite".
	Scheme string
	// Alias is another scheme that means the same; "" for none. Addresses are kept with Scheme.
	Alias string
	// Form is how an address looks, for people, such as "sqlite:<path>".
	Form string
	// Place says what is wrong with an address, of which it gets what stands behind the colon, and gives it with a path
	// that is not absolute put into a folder; with folder "" it stays. The error never quotes the address: it may hold
	// a password.
	Place func(rest, folder string) (placed string, err error)
	// Folder gives the folder on this machine in which the data lies; "" for none.
	Folder func(rest string) string
	// Usable tells what would keep Open from opening or making the database, as far as that can be seen without opening
	// or making anything.
	Usable func(rest string) error
	// Open opens the database for this process, with the store key that opens its working keys. Where a database is not
	// made for several, it refuses one that another process has.
	Open func(ctx context.Context, rest string, key *keys.StoreKey) (Database, error)
	// OpenArchive opens it for reading alone, beside whatever processes have it.
	OpenArchive func(ctx context.Context, rest string) (Archive, error)
	// Restore makes a database of a backup's copy and of keys, which may be those of a later backup: what they do not
	// have was erased after the copy was made, and is erased again; what they say is over has ended; receipts of
	// deletions are as they have them. It refuses, with ErrBackup, where there is a database already, keys that are
	// older than the copy or another database's, and those that are not the newest as far as can be seen.
	Restore func(ctx context.Context, rest string, key *keys.StoreKey, backup Backup) (Restored, error)
	// Source opens a database that nobody has, from which Fill makes one of another kind, and refuses one of an older
	// version; nil where there is no way from this kind.
	Source func(ctx context.Context, rest string, key *keys.StoreKey) (Source, error)
	// Fill makes a database of all that a source has, wholly or not at all, where there is none, or none that was ever
	// opened; else the error is ErrMove. Check sees the audit trails of what was made before it is there for good:
	// when it fails, nothing is made. Nil where there is no way to this kind.
	//
	// Cursors, tokens and keys of the source are good in what is made. Leases and claims have ended: nobody is at work.
	Fill func(ctx context.Context, rest string, from Source, check func(AuditTrails) error) ([]Moved, error)
	// Migrate brings the tables of a database that nobody has to the newest version, and tells from which one to which;
	// 0 stands for a database without tables.
	Migrate func(ctx context.Context, rest string) (from, to int, err error)
}

// ErrBackup says that a backup, its keys or the place for them are not what they are taken for. It comes wrapped, with
// what is wrong.
var ErrBackup = errors.New("refused")

// Backup is what a restore is made of.
type Backup struct {
	// Copy and Keys are the paths of the files.
	Copy, Keys string
	// OlderKeys has keys taken although it is noted beside the database that newer ones were written.
	OlderKeys bool
	// End writes into a consent that it is over. It is called for each one that stands in the copy and was over when
	// the keys were written.
	End func(keys *keys.Keys, tx Tx, consentID string, end End) error
}

// End is how a consent had ended.
type End struct {
	How EndKind
	// Time is when it was noted, or at the latest.
	Time time.Time
}

// EndKind tells what ended a consent.
type EndKind string

// The kinds. The first two are for good.
const (
	EndRevoked    EndKind = "REVOKED"    // the caller ended it
	EndSuperseded EndKind = "SUPERSEDED" // another consent took its place
	EndWithdrawn  EndKind = "WITHDRAWN"  // the customer withdrew, and might approve again
	EndExpired    EndKind = "EXPIRED"    // the permission ended by itself, or its provider no longer knew it
)

// Restored tells what a restore made.
type Restored struct {
	// KeysTime is when the keys were written: what was erased until then is erased, and what was over is.
	KeysTime time.Time
	// Ended is how many consents stood in the copy and are over. EndsUnknown says that the keys, of an older form, do
	// not tell of any, and of no receipts.
	Ended       int
	EndsUnknown bool
	// Receipts is how many receipts of deletions the copy had not, or not as they were in the end.
	Receipts int
	// Customers, Consents and Shipments are what was erased again. What went with a customer counts, too.
	Customers, Consents, Shipments int
	// Unknown is how many customers, and shipments of nobody, the keys have and the copy has not: they came after it.
	Unknown int
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
	// Backup writes the database as it stands at one moment into a new file, without data keys, and these into another
	// one, whose place the keys of the next backup take: see Driver.Restore. The latter must be missing or have older
	// keys of the same database; else the error is ErrBackup.
	Backup(ctx context.Context, copyPath, keysPath string) error
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
