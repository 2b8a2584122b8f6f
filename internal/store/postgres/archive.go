package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/migrations"
)

// archiveIdle is how long a transaction of an Archive may do nothing: what it reads may go to a pager, or over a slow
// line. It locks no rows, and holds no events back; VACUUM alone waits for it.
const archiveIdle = 15 * time.Minute

// Archive reads a database for exports. It changes nothing.
type Archive struct {
	s *Store
	// newer says that its tables are those of a newer version.
	newer bool
}

var _ store.Archive = (*Archive)(nil)

// OpenArchive opens a database for reading alone. It must have the tables of this version of Kontor, or such that it
// can go on with.
func OpenArchive(ctx context.Context, rest string) (_ *Archive, err error) {
	s, err := connect(ctx, rest)
	if err != nil {
		return nil, err
	}
	s.idle = archiveIdle
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("postgres: %w", err), s.Close())
		}
	}()
	steps, err := migrations.Load(migrationFiles)
	if err != nil {
		return nil, err
	}
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	applied, err := history(ctx, c.Conn())
	if err != nil {
		return nil, err
	}
	if len(applied) < len(steps) {
		return nil, fmt.Errorf("%w: it has version %d, this Kontor %d", ErrSchema, len(applied), len(steps))
	}
	if err := fits(applied, steps); err != nil {
		return nil, err
	}
	err = c.QueryRow(ctx, "SELECT value, base FROM epoch").Scan(&s.epoch, &s.base)
	return &Archive{s: s, newer: len(applied) > len(steps)}, err
}

// ViewAudit implements store.Archive.
func (a *Archive) ViewAudit(ctx context.Context, fn func(store.AuditTrails) error) error {
	return a.s.read(ctx, allTenants, func(r *reader) error { return fn(trails{r}) })
}

// trails is a store.AuditTrails.
type trails struct{ *reader }

func (t trails) Tenants() ([]string, error) { return t.auditTenants() }

func (t trails) Roll() (*store.AuditRoll, error) { return t.AuditRoll() }

func (t trails) Trail(after int64, limit int) ([]store.Audit, error) {
	return t.everyAudit(after, limit)
}

func (t trails) Of(tenant string) store.AuditReader {
	of := *t.reader
	of.tenant = tenant
	return &of
}

// Keys implements store.Archive.
func (a *Archive) Keys(ctx context.Context, key *keys.StoreKey) (opened *keys.Keys, err error) {
	err = a.s.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		wrapped, err := ring{c.Conn()}.WorkingKeys(ctx)
		if err == nil {
			opened, err = key.Open(wrapped)
		}
		return err
	})
	return opened, err
}

// errOwnTools is what backups and restores answer.
var errOwnTools = fmt.Errorf("%w: PostgreSQL is backed up and restored with its own tools, such as pg_basebackup and "+
	"archived write-ahead logs; what was erased is erased completely when their retention ends", store.ErrBackup)

// Backup implements store.Archive.
func (*Archive) Backup(context.Context, string, string) error { return errOwnTools }

// Restore refuses, as Backup does.
func Restore(context.Context, string, *keys.StoreKey, store.Backup) (store.Restored, error) {
	return store.Restored{}, errOwnTools
}

// Close implements store.Archive.
func (a *Archive) Close() error { return a.s.Close() }
