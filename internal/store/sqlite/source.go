package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// Source reads all of a file that no gateway has: see store.Source. It changes no row.
type Source struct {
	lock   io.Closer
	file   *ReadOnly
	c      *conn
	origin store.Origin
}

var _ store.Source = (*Source)(nil)

// OpenSource opens the file at path, which must exist, be intact, and have the tables of this version of Kontor and
// nothing besides, and keeps gateways from it. The store key must open its working keys.
func OpenSource(ctx context.Context, path string, key *keys.StoreKey) (_ *Source, err error) {
	if key == nil {
		return nil, keys.ErrNoStoreKey
	}
	s := &Source{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("sqlite: %s: %w", path, err), s.Close())
		}
	}()
	file, err := filepath.Abs(path)
	if err == nil {
		file, err = filepath.EvalSymlinks(file)
	}
	if err != nil {
		return nil, err
	}
	if s.lock, err = lockFile(file + ".lock"); err != nil {
		return nil, err
	}
	if s.file, err = OpenReadOnly(ctx, file); err != nil {
		if errors.Is(err, ErrSchema) {
			err = fmt.Errorf("%w: `gateway migrate` brings a store of an older version up to date", err)
		}
		return nil, err
	}
	if s.c, err = s.file.readers.get(ctx); err != nil {
		return nil, err
	}
	for _, look := range []func(context.Context) error{s.c.hasKeys, s.c.check, s.begin, s.identify} {
		if err := look(ctx); err != nil {
			return nil, asCorrupt(err)
		}
	}
	if err := onlyOurs(ctx, s.c); err != nil {
		return nil, err
	}
	_, err = s.Keys(ctx, key)
	return s, err
}

// Keys implements store.Source.
func (s *Source) Keys(ctx context.Context, key *keys.StoreKey) (*keys.Keys, error) {
	wrapped, err := ring{s.c}.WorkingKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(wrapped) == 0 {
		return nil, fmt.Errorf("%w: no gateway ever had this store: there is nothing to copy", store.ErrMove)
	}
	return key.Open(wrapped)
}

// begin has all be read as of one moment.
func (s *Source) begin(ctx context.Context) error {
	_, err := s.c.exec(ctx, "BEGIN")
	return err
}

// identify reads what the rows do not tell.
func (s *Source) identify(ctx context.Context) (err error) {
	s.origin = store.Origin{Epoch: s.file.epoch, Heads: map[store.Log]int64{}}
	if s.origin.CreateTime, err = s.c.made(ctx); err != nil {
		return err
	}
	head := func(table string) (highest int64, err error) {
		const query = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0)"
		return highest, s.c.sql.QueryRowContext(ctx, query, table).Scan(&highest)
	}
	for log, table := range logTables {
		if s.origin.Heads[log], err = head(table); err != nil {
			return err
		}
	}
	s.origin.AuditHead, err = head("audit")
	return err
}

// Origin implements store.Source.
func (s *Source) Origin() store.Origin { return s.origin }

// Rows implements store.Source. The names are those that package columns lists.
func (s *Source) Rows(
	ctx context.Context, table string, names []string, fn func([]any) error,
) (err error) {
	query := `SELECT "` + strings.Join(names, `", "`) + `" FROM "` + table + `"` //nolint:gosec // names are Kontor's
	rows, err := s.c.sql.QueryContext(ctx, query)
	if err != nil {
		return asCorrupt(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, value := range values {
			if blob, ok := value.([]byte); ok && blob == nil {
				values[i] = []byte{} // An empty blob comes as nil within its type, NULL without one.
			}
		}
		if err := fn(values); err != nil {
			return err
		}
	}
	return asCorrupt(rows.Err())
}

// ViewAudit implements store.Source.
func (s *Source) ViewAudit(ctx context.Context, fn func(store.AuditTrails) error) error {
	r := &reader{ctx: ctx, run: ctx, c: s.c, Opener: columns.Opener{Epoch: s.origin.Epoch}}
	if err := fn(trails{r}); err != nil {
		return err
	}
	return r.failed
}

// Close implements store.Source.
func (s *Source) Close() error {
	var errs []error
	if s.c != nil {
		s.c.rollback()
		s.file.readers.put(s.c)
	}
	if s.file != nil {
		errs = append(errs, s.file.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
