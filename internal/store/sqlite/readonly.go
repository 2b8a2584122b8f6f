package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
	"kontor.dev/kontor/internal/store/migrations"
)

// ReadOnly reads a store's file beside the processes that have it: for exports and backups. It takes no part in the
// lock, changes nothing, and keeps nobody from writing.
type ReadOnly struct {
	file    string
	readers *pool
	epoch   string
	// disk is how backups become durable.
	disk disk
}

var _ store.Archive = (*ReadOnly)(nil)

// OpenReadOnly opens the file at path, which must exist and have the tables that this version of Kontor makes.
func OpenReadOnly(ctx context.Context, path string) (_ *ReadOnly, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sqlite: %s: %w", path, err)
		}
	}()
	file, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(file); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	// Not SQLite's own mode=ro: the write-ahead log of a gateway that was killed can only be read by who may restore
	// its index.
	readers, err := newPool(file, readerSettings)
	if err != nil {
		return nil, err
	}
	r := &ReadOnly{file: file, readers: readers, disk: realDisk}
	if err := r.sameSchema(ctx); err != nil {
		return nil, errors.Join(err, readers.close())
	}
	return r, nil
}

// sameSchema refuses a file that another version of Kontor made.
func (r *ReadOnly) sameSchema(ctx context.Context) error {
	c, err := r.readers.get(ctx)
	if err != nil {
		return asCorrupt(err)
	}
	defer r.readers.put(c)
	steps, err := migrations.Load(migrationFiles)
	if err != nil {
		return err
	}
	applied, err := appliedChecksums(ctx, c)
	if err != nil {
		return asCorrupt(err)
	}
	if len(applied) != len(steps) {
		return fmt.Errorf("%w: it has version %d, this Kontor %d", ErrSchema, len(applied), len(steps))
	}
	for i, checksum := range applied {
		if checksum != steps[i].Checksum {
			return fmt.Errorf("%w: it was made by another form of migration %s", ErrSchema, steps[i].Name)
		}
	}
	r.epoch, err = c.epoch(ctx)
	return err
}

// View runs fn on one consistent state of a tenant's rows.
func (r *ReadOnly) View(ctx context.Context, tenant string, fn func(store.Reader) error) error {
	if tenant == "" {
		return store.ErrTenant
	}
	return viewOn(ctx, r.readers, reader{tenant: tenant, Opener: columns.Opener{Epoch: r.epoch}},
		func(r *reader) error { return fn(r) })
}

// ViewAudit implements store.Archive.
func (r *ReadOnly) ViewAudit(ctx context.Context, fn func(store.AuditTrails) error) error {
	return viewOn(ctx, r.readers, reader{Opener: columns.Opener{Epoch: r.epoch}},
		func(r *reader) error { return fn(trails{r}) })
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

// Close releases the file.
func (r *ReadOnly) Close() error { return r.readers.close() }
