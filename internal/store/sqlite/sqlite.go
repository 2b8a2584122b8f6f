// Package sqlite keeps the store in one SQLite file: the embedded default, for one process. What must hold for every store is in the suite of
// package storetest; this package documents only what is SQLite's own.
//
// # Durability
//
// The file is in WAL mode with synchronous=FULL on every connection, so that Update returns nil only after the transaction is on the disk.
// Settings are read back from each connection before its first use. When COMMIT fails (disk full, I/O error) the transaction is rolled back
// and Update returns the error. One case is beyond SQLite: a COMMIT whose fsync failed was reported as failed, and if the machine stops before
// the next commit, it may come back after the restart. It is never the other way round.
//
// # Concurrency
//
// One process has the file at a time, held by a lock on a file beside it (suffix ".lock"). Updates run one after the other on one connection;
// Views run beside them on others, each on the state of one moment. A View or Update must not be started within the function of an Update,
// nor a View within that of a View: it may wait for the connection that its own caller holds.
//
// A program that only reads, such as an export or a backup, may come beside that process: see OpenReadOnly.
//
// # Deletion
//
// secure_delete overwrites what is deleted with zeros. After a customer was deleted, the write-ahead log, which still holds the former pages,
// is emptied as soon as no reader needs it.
//
// # Representation
//
// Instants are kept as whole microseconds since 1970, in UTC, and come back as such; the zero time is kept as 0. Instants within protobuf
// messages and events keep their full precision. The tables are described in the migrations.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kontor.dev/kontor/internal/store"
)

// Errors of Open. Each comes wrapped, with the path.
var (
	// ErrLocked says that another process has the file.
	ErrLocked = errors.New("in use by another process")
	// ErrCorrupt says that the file is no database, or a damaged one.
	ErrCorrupt = errors.New("not an intact SQLite database")
	// ErrSchema says that the tables are not those that this version of Kontor makes: of a newer version, changed by hand, or another program's.
	ErrSchema = errors.New("unexpected schema")
)

var (
	// errEnded is what a Reader or Tx answers after its View or Update.
	errEnded = errors.New("sqlite: the transaction has ended")
	// errClosed is what a Store answers after Close.
	errClosed = errors.New("sqlite: the store is closed")
)

// logLimit is four times what the write-ahead log has when SQLite first tries to empty it.
const logLimit = 16 << 20

// Options tune a store. The zero value is good.
type Options struct {
	// Readers is how many Views can run at the same time; 0 stands for one per processor, at least 4.
	Readers int
}

// Store is a store.Store in a file.
type Store struct {
	file            string
	writer, readers *pool
	lock            io.Closer
	hub             hub
	// purgeDue says that a customer was deleted and the write-ahead log may still hold their rows.
	purgeDue atomic.Bool
	// logLimit is the size, in bytes, that the write-ahead log should not exceed by much, truncateAt that at which it is emptied. Whoever has the
	// writer may use them.
	logLimit, truncateAt int64
	close                func() error
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the file at path, makes it (mode 0600) and its folder (mode 0700) when they do not exist, checks its integrity, and
// brings its tables up to date. It reads the whole file.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	return open(ctx, path, opts, nil)
}

// open is Open with further pragmas for the writer.
func open(ctx context.Context, path string, opts Options, extra []pragma) (_ *Store, err error) {
	if opts.Readers <= 0 {
		opts.Readers = max(4, runtime.GOMAXPROCS(0))
	}
	file, err := prepareFile(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	lock, err := lockFile(file + ".lock")
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	s := &Store{file: file, lock: lock, logLimit: logLimit, truncateAt: logLimit}
	s.close = sync.OnceValue(s.release)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("sqlite: %s: %w", path, err), s.Close())
		}
	}()
	if s.writer, err = newPool(file, 1, slices.Concat(settings, extra)); err != nil {
		return nil, err
	}
	if s.readers, err = newPool(file, opts.Readers, append(slices.Clone(settings), pragma{"query_only", "ON", "1"})); err != nil {
		return nil, err
	}
	c, err := s.writer.get(ctx)
	if err != nil {
		return nil, asCorrupt(err)
	}
	defer s.writer.put(c)
	if err := c.check(ctx); err != nil {
		return nil, asCorrupt(err)
	}
	if err := migrate(ctx, c, migrationFiles); err != nil {
		return nil, err
	}
	return s, nil
}

// View implements store.Store.
func (s *Store) View(ctx context.Context, fn func(store.Reader) error) error {
	err := s.view(ctx, fn)
	s.purge()
	return err
}

func (s *Store) view(ctx context.Context, fn func(store.Reader) error) error {
	return viewOn(ctx, s.readers, fn)
}

// viewOn runs fn in a transaction that reads, on one of the readers.
func viewOn(ctx context.Context, readers *pool, fn func(store.Reader) error) error {
	c, err := readers.get(ctx)
	if err != nil {
		return err
	}
	r := &reader{ctx: ctx, c: c}
	defer func() {
		r.failed = errEnded
		c.rollback()
		readers.put(c)
	}()
	if _, err := r.exec("BEGIN"); err != nil {
		return err
	}
	if err := fn(r); err != nil {
		return err
	}
	return r.failed
}

// Update implements store.Store. fn runs once.
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	touched, err := s.update(ctx, fn)
	// The writer is free by now: however many wait for the news, nobody's transaction does.
	s.hub.wake(touched)
	s.purge()
	return err
}

func (s *Store) update(ctx context.Context, fn func(store.Tx) error) (map[store.Topic]struct{}, error) {
	c, err := s.writer.get(ctx)
	if err != nil {
		return nil, err
	}
	t := &tx{reader: reader{ctx: ctx, c: c}, touched: map[store.Topic]struct{}{}}
	committed := false
	defer func() { // also when fn panics
		t.failed = errEnded
		if !committed {
			c.rollback()
		}
		s.writer.put(c)
	}()
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	if err := fn(t); err != nil {
		return nil, err
	}
	// A statement that failed may have ended the transaction, whatever fn made of it.
	if t.failed != nil {
		return nil, t.failed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Not to be interrupted: its outcome must be known.
	if _, err := c.exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return nil, fmt.Errorf("sqlite: commit: %w", err)
	}
	committed = true
	if t.purge {
		s.purgeDue.Store(true)
	}
	s.boundLog(c)
	return t.touched, nil
}

// purge empties the write-ahead log if a deletion asks for it and nobody is using it. Whoever is, tries again when done.
func (s *Store) purge() {
	if !s.purgeDue.Load() {
		return
	}
	c := s.writer.tryGet()
	if c == nil {
		return
	}
	defer s.writer.put(c)
	if c.truncateLog(0) {
		s.purgeDue.Store(false)
	}
}

// boundLog empties the write-ahead log when it has become large. SQLite does it by itself when it finds no reader in its way; when there are
// always some, the log would grow without end. A View that lasts is not waited for: the next attempt comes when the log has grown by as much.
func (s *Store) boundLog(c *conn) {
	info, err := os.Stat(s.file + "-wal")
	if err != nil || info.Size() < s.truncateAt {
		return
	}
	s.truncateAt = s.logLimit
	if !c.truncateLog(100 * time.Millisecond) {
		s.truncateAt += info.Size()
	}
}

// Subscribe implements store.Store. The channel is never closed.
func (s *Store) Subscribe(topic store.Topic) (<-chan struct{}, func()) {
	return s.hub.subscribe(topic)
}

// Ping implements store.Store.
func (s *Store) Ping(ctx context.Context) error {
	return s.view(ctx, func(r store.Reader) error {
		_, err := r.LastPosition(store.ConsentLog)
		return err
	})
}

// Close waits for running transactions and closes the file. Later calls of View and Update return an error; Close itself may be repeated.
func (s *Store) Close() error {
	return s.close()
}

func (s *Store) release() error {
	var errs []error
	// The writer last: the last connection to close moves the write-ahead log into the file.
	for _, p := range []*pool{s.readers, s.writer} {
		if p != nil {
			errs = append(errs, p.close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}
