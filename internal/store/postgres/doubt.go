package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// When the connection is lost between COMMIT and its answer, the transaction may be committed, or undone, or still be
// under way. Each transaction that wrote therefore leaves an id behind, in the table commits, sent together with its
// COMMIT. Whoever is in doubt tries to put the same id there by another connection:
//
//   - It waits, by the unique key, for a transaction that is still under way.
//   - It finds the id: the transaction was committed.
//   - It puts the id there as not committed: then the transaction is undone and cannot be committed any more, also
//     when its COMMIT arrives yet, since its own id is refused.
//
// Where a standby has to confirm COMMITs, what is found may be on this server alone: one that was killed while a COMMIT
// waited, and came back, shows it to all. So the row is written once more, which the standby confirms together with all
// that was before it.
//
// The number of the transaction would do as long as the server lives (pg_xact_status). But one that was lost with a
// crash is given again, to another transaction, and then that one's fate would be reported.

// errDoubt says that nobody could find out whether a transaction was committed.
var errDoubt = errors.New("it is not known whether the transaction was committed")

// errWarned says that the server warned of something while it committed.
var errWarned = errors.New("the server warned while it committed")

const (
	// doubtLimit is how long is tried to find out, which is enough for another server to take over.
	doubtLimit = 40 * time.Second
	// doubtEvery is how long is waited between two tries.
	doubtEvery = 250 * time.Millisecond
	// commitLimit is how long a COMMIT is waited for before it is in doubt: a standby may have to confirm it.
	commitLimit = 30 * time.Second
	// doubtMost is how old a transaction may be of which an id that is not there says that it was not committed: the
	// ids of older ones are forgotten. Only a process that was frozen or suspended for minutes asks so late.
	doubtMost = marksKept - 5*time.Minute
)

// commit ends a transaction such that its outcome is known. The caller's context is not asked: once a function has
// succeeded, it is waited for.
func (s *Store) commit(c *conn, wrote bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitLimit)
	defer cancel()
	c.over = true
	line, began := c.line(), time.Now()
	if !wrote {
		_, err := c.PgConn().Exec(ctx, "COMMIT").ReadAll()
		if err != nil {
			_ = c.Close(ctx)
			return databaseError{fmt.Errorf("postgres: commit: %w", err)}
		}
		return nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return databaseError{err}
	}
	// A COMMIT that waits for a standby must not be cut short: it would be reported as done.
	batch := &pgx.Batch{}
	batch.Queue("INSERT INTO commits (id, committed) VALUES ($1, true)", [16]byte(id))
	batch.Queue("SET LOCAL statement_timeout = 0")
	batch.Queue("COMMIT")
	line.warned.Store(false)
	line.committing.Store(true)
	results := c.SendBatch(ctx, batch)
	var tag pgconn.CommandTag
	for range batch.Len() {
		if tag, err = results.Exec(); err != nil {
			break
		}
	}
	if e := results.Close(); err == nil {
		err = e
	}
	switch {
	case err == nil && tag.String() == "COMMIT" && !line.warned.Load():
		line.committing.Store(false)
		s.commits.Add(time.Since(began))
		s.marks.add(s, id)
		return nil
	case err == nil && tag.String() != "COMMIT":
		line.committing.Store(false)
		return databaseError{fmt.Errorf("postgres: commit: the server answered %s", tag.String())}
	case err == nil:
		// Somebody had the server cancel the COMMIT while it waited for a standby: it is done, perhaps only here.
		line.committing.Store(false)
		c.leave()
		return s.settle(id, errWarned)
	}
	_ = c.Close(context.Background())
	err = databaseError{fmt.Errorf("postgres: commit: %w", err)}
	if !lost(err) && !errors.Is(err, context.DeadlineExceeded) {
		return err // The server said that it did not.
	}
	c.leave() // Others may be in doubt at the same time, and each needs another connection.
	return s.settle(id, err)
}

// settle finds out what became of a transaction whose connection was lost by an error: nil if it was committed,
// errNothing if it was not and will not be.
func (s *Store) settle(id uuid.UUID, cause error) error {
	deadline := time.Now().Add(doubtLimit)
	for {
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		committed, err := s.fate(ctx, id)
		cancel()
		switch {
		case err == nil && committed:
			return nil
		case err == nil && time.Since(madeAt(id)) < doubtMost:
			return databaseError{fmt.Errorf("%w: %w", errNothing, cause)}
		case err == nil, time.Until(deadline) < doubtEvery || s.closed.Load():
			return databaseError{fmt.Errorf("postgres: %w: %w", errDoubt, cause)}
		}
		<-time.After(doubtEvery)
	}
}

// fate tells whether a transaction was committed, and sees to it that it will not be if not.
func (s *Store) fate(ctx context.Context, id uuid.UUID) (committed bool, err error) {
	const keep = `INSERT INTO commits AS c (id, committed) VALUES ($1, false)
		ON CONFLICT (id) DO UPDATE SET committed = c.committed RETURNING c.committed`
	back, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, err
	}
	defer back.Release()
	line := (&conn{Conn: back.Conn()}).line()
	line.warned.Store(false)
	batch := &pgx.Batch{}
	batch.Queue("BEGIN READ WRITE, ISOLATION LEVEL READ COMMITTED")
	batch.Queue("SET LOCAL statement_timeout = 0")
	batch.Queue(keep, [16]byte(id)).QueryRow(func(row pgx.Row) error { return row.Scan(&committed) })
	batch.Queue("COMMIT")
	if err := back.SendBatch(ctx, batch).Close(); err != nil {
		return false, err
	}
	if line.warned.Load() {
		return false, errWarned
	}
	return committed, nil
}

// marks forgets ids that nobody can be in doubt about any more.
type marks struct {
	mu    sync.Mutex
	count int
	busy  bool
}

const (
	// marksKept is how long ids are kept, by the clock of the process that made them: their order is that of time.
	marksKept = 15 * time.Minute
	// marksEach is after how many of its commits a process forgets, marksMost how many ids it forgets then.
	marksEach, marksMost = 500, 2000
)

// madeAt is when an id was made, by the wall clock: others stand still while a machine is suspended.
func madeAt(id uuid.UUID) time.Time { return time.Unix(id.Time().UnixTime()) }

// earlier is an id as it would have been made some time before.
func earlier(id uuid.UUID, by time.Duration) uuid.UUID {
	before := madeAt(id).Add(-by).UnixMilli()
	for i := range 6 {
		id[i] = byte(before >> (40 - 8*i))
	}
	return id
}

func (m *marks) add(s *Store, id uuid.UUID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.count++; m.count < marksEach || m.busy {
		return
	}
	m.count, m.busy = 0, true
	old := earlier(id, marksKept)
	s.work.Go(func() {
		defer func() {
			m.mu.Lock()
			m.busy = false
			m.mu.Unlock()
		}()
		ctx, cancel := context.WithTimeout(context.Background(), statementLimit)
		defer cancel()
		// What stays is forgotten with the next ones.
		_, _ = s.pool.Exec(ctx, "DELETE FROM commits WHERE id IN (SELECT id FROM commits WHERE id < $1 ORDER BY id "+
			"LIMIT $2 FOR UPDATE SKIP LOCKED)", [16]byte(old), marksMost)
	})
}
