// Package postgres keeps the store in PostgreSQL, which any number of processes share. What must hold for every store
// is in the suite of package storetest; this package documents only what is PostgreSQL's own.
//
// # Transactions
//
// Views are REPEATABLE READ: each has the state of one moment. Updates are READ COMMITTED, and lock what they read by
// its id (see reader.lock), so that whoever reads a row to change it waits for those who do so at the same time, and
// then has the newest row. Lists are not locked. What a conflict, a deadlock or a lost connection undid runs again a
// few times. SERIALIZABLE would not need the locks, but it takes its snapshot at the beginning: whoever waited for a
// row would run again each time.
//
// # Losing connections
//
// When a connection is lost while it commits, nobody knows whether it did: see doubt.go.
//
// # Between here and there
//
// Nothing of a session outlives its transaction, so a pool such as pgbouncer may stand between, in transaction mode:
// settings are local, statements have no name (pgx describes each once and sends its text every time). The connection
// that listens is one of its own: see notify.go.
//
// # Deletion
//
// What is deleted stays in the pages until VACUUM, which the server does by itself, and in the write-ahead log and the
// backups as long as these are kept. What was sealed opens no more once its data key is gone from all of them.
//
// The tables are described in the migrations, and how rows stand in them in package columns.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
	"kontor.dev/kontor/internal/store/vitals"
	"kontor.dev/kontor/internal/store/wake"
)

// Store is a store.Database in PostgreSQL.
type Store struct {
	pool *pgxpool.Pool
	// connections is how many the pool has at most.
	connections int64
	listen      *pgx.ConnConfig
	// silence is how long an answer is waited for.
	silence time.Duration
	// headWait is how long Head waits, waitingHeads how many do.
	headWait     time.Duration
	waitingHeads atomic.Int64
	// idle is how long a transaction may do nothing.
	idle   time.Duration
	health vitals.Health
	// commits are how long COMMITs took.
	commits vitals.Latencies
	keys    *keys.Keys
	epoch   string
	// base is added to the numbers of transactions to make positions.
	base int64
	made time.Time
	hub  wake.Hub
	news news
	// held is for how long events have been held back.
	held held

	// waiting is how many wait for a connection, each how long one is lately held, in nanoseconds.
	waiting, each atomic.Int64
	// calls has a place for each call that may have a connection, lookups one for each look for a callback's token.
	calls, lookups chan struct{}
	// crowded is until when no connection is asked of the server, which had too many: nanoseconds since 1970.
	crowded atomic.Int64
	// size is what the database had when it was last asked, in bytes.
	size atomic.Int64
	// probing lets one at a time try whether the database can be written.
	probing sync.Mutex
	marks   marks
	owners  owners
	// work are goroutines that go on beside calls.
	work   sync.WaitGroup
	closed atomic.Bool
	close  func() error
}

var _ store.Database = (*Store)(nil)

// Open opens the database at an address, of which it gets what stands behind "postgres:"; makes or brings up to date
// its tables, and opens its working keys with the store key. Several processes may do so at the same time.
func Open(ctx context.Context, rest string, key *keys.StoreKey) (*Store, error) {
	if key == nil {
		return nil, keys.ErrNoStoreKey
	}
	set, err := parse(rest)
	if err != nil {
		return nil, err
	}
	return open(ctx, set, key)
}

// open is Open for an address that was read.
func open(ctx context.Context, set settings, key *keys.StoreKey) (_ *Store, err error) {
	s, err := connectTo(ctx, set)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("postgres: %w", err), s.Close())
		}
	}()
	if err := s.alone(ctx, func(c *pgx.Conn) error {
		if err := fit(ctx, c); err != nil {
			return err
		}
		if err := migrate(ctx, c, migrationFiles); err != nil {
			return err
		}
		if err := permitted(ctx, c); err != nil {
			return err
		}
		if s.keys, err = unlock(ctx, c, key); err != nil {
			return err
		}
		return s.identify(ctx, c)
	}); err != nil {
		return nil, err
	}
	s.hub.Heads, s.hub.Listen = s.heads, s.follow
	s.news.start(s)
	return s, nil
}

// connect makes a store that has its connections alone.
func connect(ctx context.Context, rest string) (*Store, error) {
	set, err := parse(rest)
	if err != nil {
		return nil, err
	}
	return connectTo(ctx, set)
}

func connectTo(ctx context.Context, set settings) (*Store, error) {
	s := &Store{
		connections: int64(set.pool.MaxConns), listen: set.listen, silence: silence, idle: idleLimit,
		headWait: headWait,
	}
	set.pool.BeforeConnect = s.lay
	var err error
	if s.pool, err = pgxpool.NewWithConfig(ctx, set.pool); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	s.calls, s.lookups = places(s.connections-max(1, s.connections/ownShare)), places(s.connections/lookupShare)
	s.health.FaultOf = faultOf
	s.close = sync.OnceValue(s.release)
	return s, nil
}

// View implements store.Store.
func (s *Store) View(ctx context.Context, tenant string, fn func(store.Reader) error) error {
	if tenant == "" || tenant == allTenants {
		return store.ErrTenant
	}
	return away(s.read(ctx, tenant, func(r *reader) error { return fn(r) }))
}

// read runs fn in a transaction that reads.
func (s *Store) read(ctx context.Context, tenant string, fn func(*reader) error) error {
	c, err := s.begin(ctx, reads, tenant)
	if err != nil {
		return err
	}
	r := &reader{ctx: ctx, c: c, s: s, tenant: tenant, Opener: s.opener(), own: none}
	defer func() {
		r.failed = errEnded
		c.end()
	}()
	if err := fn(r); err != nil {
		return err
	}
	return r.failed
}

// opener gives what opens this database's rows.
func (s *Store) opener() columns.Opener { return columns.Opener{Keys: s.keys, Epoch: s.epoch} }

const (
	// conflictTries is how often an Update whose function meets a conflict is run.
	conflictTries = 4
	// againTries is how often one is run that the server undid because of others, lostTries one whose connection was
	// lost.
	againTries, lostTries = 12, 4
	// againMost is how long is waited at most between two tries.
	againMost = 50 * time.Millisecond
)

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if tenant == "" || tenant == allTenants {
		return store.ErrTenant
	}
	return away(s.write(ctx, tenant, func(t *tx) error { return fn(t) }))
}

// write runs fn in a transaction that writes, until it is clear what became of it.
func (s *Store) write(ctx context.Context, tenant string, fn func(*tx) error) error {
	for conflicts, undone, gone := 0, 0, 0; ; {
		touched, err := s.attempt(ctx, tenant, fn)
		switch {
		case err == nil:
			s.health.Note(nil)
			s.hub.Wake(touched)
			s.news.tell(touched)
			return nil
		case errors.Is(err, store.ErrConflict):
			if conflicts++; conflicts == conflictTries {
				return err
			}
			continue
		case again(err):
			if undone++; undone == againTries {
				return fmt.Errorf("%w: %w", store.ErrConflict, err)
			}
		case errors.Is(err, errNothing) || lost(err) && !errors.Is(err, errDoubt):
			s.health.Note(err)
			if gone++; gone == lostTries {
				return err
			}
		default:
			s.health.Note(err)
			return err
		}
		if !pause(ctx, undone+gone) {
			return err
		}
	}
}

// pause waits before another try, the longer the more there were. It tells whether the context still lasts.
func pause(ctx context.Context, tries int) bool {
	timer := time.NewTimer(rand.N(min(againMost, time.Millisecond<<tries))) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt runs fn once and commits. It tells which logs got entries.
func (s *Store) attempt(
	ctx context.Context, tenant string, fn func(*tx) error,
) (_ map[store.Log]store.Cursor, err error) {
	c, err := s.begin(ctx, writes, tenant)
	if err != nil {
		return nil, err
	}
	t := &tx{
		reader:  reader{ctx: ctx, c: c, s: s, tenant: tenant, Opener: s.opener(), own: none, lock: true},
		touched: map[store.Log]store.Cursor{},
	}
	defer func() {
		t.failed = errEnded
		c.end()
	}()
	if err = fn(t); err == nil {
		err = t.failed // A statement failed, whatever fn made of it.
	} else if again(t.failed) || lost(t.failed) {
		err = t.failed // fn may have wrapped it in words of its own.
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return t.touched, s.commit(c, t.wrote)
}

// identify reads what makes this database itself, and sees to it that positions go on from where they are.
func (s *Store) identify(ctx context.Context, c *pgx.Conn) error {
	// The numbers of transactions begin anew where the tables were moved to another server by a dump. That is so when
	// what is seen has numbers that no transaction was given yet. Higher ones than this transaction's prove nothing: it
	// may have got its own before, with a migration, while others serve; they keep to the base that they have read.
	const goOn = `
		UPDATE epoch SET base = (last >> 20) + 1 - number
		FROM (SELECT greatest(pg_current_xact_id()::text::bigint,
			pg_snapshot_xmax(pg_current_snapshot())::text::bigint) AS number, greatest(
			(SELECT max(position) FROM consent_log), (SELECT max(position) FROM shipment_log),
			(SELECT max(position) FROM audit), (SELECT max(floor) FROM log_floors),
			(SELECT max(position) FROM log_gone), (SELECT max(position) FROM audit_seals)) AS last) positions
		WHERE (number + base) <= (last >> 20)`
	if _, err := c.Exec(ctx, goOn); err != nil {
		return err
	}
	var made int64
	err := c.QueryRow(ctx, "SELECT value, base, make_time FROM epoch").Scan(&s.epoch, &s.base, &made)
	s.made = columns.Instant(made)
	return err
}

// pingAfter is how long ago the last write may be before Ping makes one.
const pingAfter = 10 * time.Second

// Ping implements store.Database. Who serves no calls because the database cannot be written makes no writes that
// would tell that it can be again: so Ping itself makes a small one, unless there was a good one lately. It returns
// when the context ends, although a COMMIT may still wait for a standby.
func (s *Store) Ping(ctx context.Context) error {
	pinged := make(chan error, 1)
	go func() { pinged <- s.ping(ctx) }()
	var err error
	select {
	case err = <-pinged:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &store.FaultError{Kind: store.FaultBusy, Err: fmt.Errorf("postgres: no answer in time: %w", err)}
	}
	return err
}

func (s *Store) ping(ctx context.Context) error {
	var size int64
	err := s.read(ctx, allTenants, func(r *reader) (err error) {
		size, err = one(r, columns.Only[int64], "SELECT pg_database_size(current_database())")
		return err
	})
	if err != nil {
		return asFault(err)
	}
	s.size.Store(size)
	s.probing.Lock()
	defer s.probing.Unlock()
	if s.health.WroteWithin(pingAfter) {
		return nil
	}
	return asFault(s.write(ctx, allTenants, func(t *tx) error {
		_, err := t.exec("UPDATE pulse SET probes = probes + 1 WHERE id = 1")
		return err
	}))
}

// asFault gives an error that tells its kind.
func asFault(err error) error {
	if fault := faultOf(err); fault != nil {
		return fault
	}
	return err
}

// Keys implements store.Database.
func (s *Store) Keys() *keys.Keys { return s.keys }

// Stats implements store.Database. It asks the server nothing.
func (s *Store) Stats() store.Stats {
	stats := store.Stats{
		Commits: s.commits.Snapshot(), Waiting: int(s.waiting.Load()), Size: s.size.Load(), CreateTime: s.made,
		BackedUpElsewhere: true, EventsHeld: s.held.longest(time.Now()),
	}
	s.health.Tell(&stats)
	return stats
}

// Close waits for running transactions and gives the connections back. Later calls of View and Update return an error;
// Close itself may be repeated.
func (s *Store) Close() error { return s.close() }

func (s *Store) release() error {
	s.hub.Close()
	err := s.endClaims()
	s.closed.Store(true)
	s.news.stop()
	s.work.Wait()
	s.pool.Close()
	return err
}
