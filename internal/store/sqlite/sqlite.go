// Package sqlite keeps the store in one SQLite file: the embedded default. What must hold for every store is in the
// suite of package storetest; this package documents only what is SQLite's own.
//
// # Durability
//
// The file is in WAL mode with synchronous=FULL on every connection, so that Update returns nil only after the
// transaction is on the disk. Settings are read back from each connection before its first use. When COMMIT fails (disk
// full, I/O error) the transaction is rolled back and Update returns the error. One case is beyond SQLite: a COMMIT
// whose fsync failed was reported as failed, and if the machine stops before the next commit, it may come back after
// the restart. It is never the other way round.
//
// # Concurrency
//
// Updates run one after the other on one connection, and share commits: see writer.go. Views run beside them on others,
// each on the state of one moment. A View or Update must not be started within the function of an Update, nor a View
// within that of a View: it may wait for the connection that its own caller holds.
//
// Several stores, in one process or in several on one machine, may have the file open: SQLite's lock lets one of them
// write at a time, and each looks several times a second whether the others added to a log. It works, but SQLite is
// made for one: whoever serves takes Lock first. A program that only reads, such as an export or a backup, comes beside
// them: see OpenReadOnly.
//
// # Deletion
//
// secure_delete overwrites what is deleted with zeros. After a customer or a consent was deleted, the write-ahead log,
// which still holds the former pages, is emptied as soon as no reader needs it. Pages that hold nothing any more are
// cut off the file, some at a time: see room.go.
//
// The tables are described in the migrations, and how rows stand in them in package columns.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
	"kontor.dev/kontor/internal/store/vitals"
	"kontor.dev/kontor/internal/store/wake"
)

// Errors of Open and Lock. Each comes wrapped, with the path.
var (
	// ErrLocked says that another process has taken the file's lock.
	ErrLocked = errors.New("in use by another process")
	// ErrCorrupt says that the file is no database, or a damaged one.
	ErrCorrupt = errors.New("not an intact SQLite database")
	// ErrSchema says that the tables are not those that this version of Kontor makes: of a newer version, changed by
	// hand, or another program's.
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
	// Alone says that nobody else writes the file: its user has the Lock. Only then it is ever made smaller, and rows
	// are kept in memory.
	Alone bool
}

// Store is a store.Database in a file.
type Store struct {
	files   files
	health  vitals.Health
	epoch   string
	made    time.Time
	keys    *keys.Keys
	writer  *writer
	readers *pool
	// anchor is a connection that nobody uses. SQLite removes the write-ahead log with the last one and makes a new one
	// with the next, which could not be told from one that somebody else put there.
	anchor *conn
	hub    wake.Hub
	// wake is the hub's, but in tests.
	wake func(map[store.Log]store.Cursor)
	// probing lets one at a time try whether the file can be written.
	probing sync.Mutex
	// purgeDue says that something was erased and the write-ahead log may still hold it.
	purgeDue atomic.Bool
	// logLimit is the size, in bytes, that the write-ahead log should not exceed by much, truncateAt that at which it
	// is emptied. Whoever has the writer may use them.
	logLimit, truncateAt int64
	// alone says that nobody else writes the file.
	alone bool
	// memory has rows of consents, nil unless alone.
	memory *memory
	close  func() error
}

var _ store.Database = (*Store)(nil)

// Open opens the store in the file at path, makes it (mode 0600) and its folder (mode 0700) when they do not exist,
// checks its integrity, brings its tables up to date, refuses others beside them, and opens its working keys with the
// store key. It reads the whole file.
func Open(ctx context.Context, path string, key *keys.StoreKey, opts Options) (*Store, error) {
	return open(ctx, path, key, opts, nil)
}

// open is Open with further pragmas for the writer.
func open(
	ctx context.Context, path string, key *keys.StoreKey, opts Options, extra []pragma,
) (_ *Store, err error) {
	if key == nil {
		return nil, keys.ErrNoStoreKey
	}
	if opts.Readers <= 0 {
		opts.Readers = max(4, runtime.GOMAXPROCS(0))
	}
	file, err := prepareFile(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	s := &Store{files: files{path: file}, logLimit: logLimit, truncateAt: logLimit, alone: opts.Alone}
	s.close = sync.OnceValue(s.release)
	s.hub.Heads, s.wake = s.heads, s.hub.Wake
	s.health.FaultOf, s.health.Stops = faultOf, true
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("sqlite: %s: %w", path, err), s.Close())
		}
	}()
	if err := s.files.check(); err != nil {
		return nil, err
	}
	if s.writer, err = newWriter(&s.files, &s.health, slices.Concat(writerSettings, extra), s.boundLog); err != nil {
		return nil, err
	}
	if opts.Alone {
		s.memory = newMemory(memoryLimit)
		s.writer.memory = s.memory
	}
	db, err := newDB(file, readerSettings, &s.files)
	if err != nil {
		return nil, err
	}
	s.readers = poolOf(db, opts.Readers, &s.health)
	t, err := s.writer.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer t.pass()
	c, err := t.connect(ctx)
	if err != nil {
		return nil, asCorrupt(err)
	}
	if err := c.check(ctx); err != nil {
		return nil, asCorrupt(err)
	}
	if err := c.hasKeys(ctx); err != nil {
		return nil, err
	}
	if err := c.canShrink(ctx); err != nil {
		return nil, err
	}
	if err := migrate(ctx, c, migrationFiles); err != nil {
		return nil, err
	}
	if err := onlyOurs(ctx, c); err != nil {
		return nil, err
	}
	if s.keys, err = unlock(ctx, c, key); err != nil {
		return nil, err
	}
	if s.anchor, err = newConn(ctx, db, nil); err != nil {
		return nil, err
	}
	if s.epoch, err = s.anchor.epoch(ctx); err != nil {
		return nil, err
	}
	if s.made, err = s.anchor.made(ctx); err != nil {
		return nil, err
	}
	if err := s.anchor.sql.QueryRowContext(ctx, "PRAGMA page_size").Scan(&s.files.page); err != nil {
		return nil, err
	}
	return s, s.files.adopt()
}

// View implements store.Store.
func (s *Store) View(ctx context.Context, tenant string, fn func(store.Reader) error) error {
	if tenant == "" {
		return store.ErrTenant
	}
	return away(s.read(ctx, tenant, func(r *reader) error { return fn(r) }))
}

// read runs fn in a transaction that reads.
func (s *Store) read(ctx context.Context, tenant string, fn func(*reader) error) error {
	err := viewOn(ctx, s.readers, reader{tenant: tenant, Opener: s.opener()}, fn)
	s.purge()
	return err
}

// opener gives what opens this file's rows.
func (s *Store) opener() columns.Opener { return columns.Opener{Keys: s.keys, Epoch: s.epoch} }

// viewOn runs fn in a transaction that reads, on one of the readers.
func viewOn(ctx context.Context, readers *pool, r reader, fn func(*reader) error) error {
	c, err := readers.get(ctx)
	if err != nil {
		return err
	}
	r.ctx, r.run, r.c = ctx, ctx, c
	defer func() {
		r.failed = errEnded
		c.rollback()
		readers.put(c)
	}()
	if _, err := r.exec("BEGIN"); err != nil {
		return err
	}
	if err := fn(&r); err != nil {
		return err
	}
	return r.failed
}

// conflictTries is how often an Update whose function meets a conflict is run.
const conflictTries = 4

// Update implements store.Store. Two transactions never overlap here, so a conflict is with something that was read
// before.
func (s *Store) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if tenant == "" {
		return store.ErrTenant
	}
	for try := 1; ; try++ {
		err := s.write(ctx, tenant, func(t *tx) error { return fn(t) })
		if !errors.Is(err, store.ErrConflict) || try == conflictTries {
			return away(err)
		}
	}
}

// write runs fn in a transaction that writes.
func (s *Store) write(ctx context.Context, tenant string, fn func(*tx) error) error {
	t, err := s.writer.write(ctx, func(c *conn) *tx {
		// A statement that is interrupted could end the transaction for all who share it.
		run := context.WithoutCancel(ctx)
		return &tx{
			reader:  reader{ctx: ctx, run: run, c: c, tenant: tenant, Opener: s.opener()},
			touched: map[store.Log]store.Cursor{},
		}
	}, fn)
	if err == nil {
		// The writer is free by now: however many wait for the news, nobody's transaction does.
		s.wake(t.touched)
		if t.purge {
			s.purgeDue.Store(true)
		}
	}
	s.purge()
	return err
}

// purge empties the write-ahead log if a deletion asks for it and nobody is using it. Whoever is, tries again when
// done.
func (s *Store) purge() {
	if !s.purgeDue.Load() {
		return
	}
	t := s.writer.tryAcquire()
	if t == nil {
		return
	}
	defer t.pass()
	if c, err := t.connect(context.Background()); err == nil && c.truncateLog(0) {
		s.files.settle()
		s.purgeDue.Store(false)
	}
}

// boundLog empties the write-ahead log when it has become large. SQLite does it by itself when it finds no reader in
// its way; when there are always some, the log would grow without end. A View that lasts is not waited for: the next
// attempt comes when the log has grown by as much.
func (s *Store) boundLog(c *conn) {
	info, err := os.Stat(s.files.path + "-wal")
	if err != nil || info.Size() < s.truncateAt {
		return
	}
	s.truncateAt = s.logLimit
	if !c.truncateLog(100 * time.Millisecond) {
		s.truncateAt += info.Size()
		return
	}
	s.files.settle()
}

// EndLeases ends all leases and claims, so that what their owners left behind is settled and polled at once. It is for
// who has the lock: all owners are gone.
func (s *Store) EndLeases(ctx context.Context) error {
	return s.write(ctx, "", func(t *tx) error {
		t.changed.all = true
		for _, statement := range []string{
			"UPDATE idempotency SET lease_until = 0 WHERE done = 0",
			"UPDATE intents SET lease_until = 0 WHERE state = 'open'",
			"DELETE FROM user_claims",
			"DELETE FROM flow_claims",
			// A claimed consent was due when it was claimed, and is again.
			"UPDATE consents SET next_poll = 1, claim_owner = '', claim_until = 0 WHERE claim_until > 0 AND " +
				"claim_until <> 0 AND next_poll <> 0", // the one for the order, the other for the index
		} {
			if _, err := t.exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// pingAfter is how long ago the last write may be before Ping makes one.
const pingAfter = 10 * time.Second

// roomProbed is how much a store must take after it was full, in bytes: more than most transactions write.
const roomProbed = 256 << 10

// Ping implements store.Database. Who serves no calls because the file cannot be written makes no writes that would
// tell that it can be again: so Ping itself makes a small one, unless there was a good one lately.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.health.Writable(); err != nil {
		return err
	}
	if err := s.files.check(); err != nil {
		s.health.Note(err)
		return err
	}
	if _, err := s.heads(ctx); err != nil {
		return asFault(err)
	}
	s.probing.Lock()
	defer s.probing.Unlock()
	if s.health.Short() {
		return asFault(s.probeRoom(ctx))
	}
	if s.health.WroteWithin(pingAfter) {
		return nil
	}
	return asFault(s.probe(ctx, "UPDATE pulse SET probes = probes + 1 WHERE id = 1"))
}

// probeRoom tries whether there is room again. What is left of a full disk, such as the end of the write-ahead log
// where a transaction was undone, takes a small write and not those of calls.
func (s *Store) probeRoom(ctx context.Context) error {
	const fill = "UPDATE pulse SET probes = probes + 1, room = zeroblob(?) WHERE id = 1"
	if err := s.probe(ctx, fill, roomProbed); err != nil {
		return err
	}
	if err := s.probe(ctx, "UPDATE pulse SET room = NULL WHERE id = 1"); err != nil {
		return err
	}
	s.health.HasRoom()
	return nil
}

func (s *Store) probe(ctx context.Context, statement string, args ...any) error {
	return s.write(ctx, "", func(t *tx) error {
		_, err := t.exec(statement, args...)
		return err
	})
}

// asFault gives an error that tells its kind.
func asFault(err error) error {
	if fault := faultOf(err); fault != nil {
		return fault
	}
	return err
}

// Close waits for running transactions and closes the file. Later calls of View and Update return an error; Close
// itself may be repeated.
func (s *Store) Close() error {
	return s.close()
}

func (s *Store) release() error {
	s.hub.Close()
	var errs []error
	// The writer last: the last connection to close moves the write-ahead log into the file.
	if s.anchor != nil {
		errs = append(errs, s.anchor.close())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	return errors.Join(errs...)
}
