package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
	"kontor.dev/kontor/internal/store/migrations"
)

// Archive reads a database for exports. It changes nothing.
type Archive struct{ s *Store }

var _ store.Archive = (*Archive)(nil)

// OpenArchive opens a database for reading alone. It must have the tables of this version of Kontor, or such that it
// can go on with.
func OpenArchive(ctx context.Context, rest string) (_ *Archive, err error) {
	s, err := connect(ctx, rest)
	if err != nil {
		return nil, err
	}
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
	return &Archive{s}, c.QueryRow(ctx, "SELECT value, base FROM epoch").Scan(&s.epoch, &s.base)
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

// Foreign implements store.Archive. It names triggers and rules, which change what is written or read, and tables whose
// rows are no longer kept apart by tenant.
func (a *Archive) Foreign(ctx context.Context) (names []string, err error) {
	err = a.s.read(ctx, allTenants, func(r *reader) (err error) {
		names, err = all(r, columns.Only[string], `
			SELECT 'trigger ' || t.tgname || ' on ' || c.relname || ', which Kontor did not make'
			FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
			WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace
			UNION ALL
			SELECT 'rule ' || u.rulename || ' on ' || c.relname || ', which Kontor did not make'
			FROM pg_rewrite u JOIN pg_class c ON c.oid = u.ev_class
			WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
			UNION ALL
			SELECT 'table ' || c.relname || ', whose row-level security was turned off'
			FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant' AND NOT t.attisdropped
			WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
				AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`)
		return err
	})
	slices.Sort(names)
	return names, err
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
