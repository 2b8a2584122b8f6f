package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kontor.dev/kontor/internal/store"
)

// allTenants is what a transaction names that belongs to none and sees all rows. No tenant is called so.
const allTenants = "*"

// The kinds of transaction, as they begin.
const (
	reads  = "BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ"
	writes = "BEGIN READ WRITE, ISOLATION LEVEL READ COMMITTED"
)

const (
	// maxLine bounds how many wait for a connection.
	maxLine = 4096
	// eachWeight is how many transactions it takes until the time for each has all but adapted.
	eachWeight = 8
	// A statement that takes longer than statementLimit is given up, and a transaction that does nothing for idleLimit:
	// its process may be frozen, and others wait for the rows that it has locked.
	statementLimit, idleLimit = 30 * time.Second, 10 * time.Second
	// crowdedEvery is how long a server that has too many connections is not asked for another one, crowdedLimit how
	// long is waited for one that the gateway has, crowdedPause, for pause, how long between two looks.
	crowdedEvery, crowdedLimit, crowdedPause = 250 * time.Millisecond, 2 * time.Second, 4
	// endLimit bounds how long a rollback is waited for.
	endLimit = 5 * time.Second
)

// conn is a connection with an open transaction.
type conn struct {
	*pgx.Conn

	s     *Store
	back  *pgxpool.Conn
	began time.Time
	// place is where a call takes one among the calls; nil for Kontor's own work.
	place chan struct{}
	// over says that the transaction has ended.
	over bool
}

const (
	// ownShare is which part of the connections calls leave to Kontor's own work. Behind a crowd of calls, as when all
	// streams come back at once, leases would not be renewed in time, and others would take over what is under way.
	ownShare = 8
	// lookupShare is which part of the connections those may have at a time who come with a callback's token: anybody
	// can make up tokens.
	lookupShare = 4
)

// places makes room for those who may have one part of the connections at a time, at least one.
func places(connections int64) chan struct{} { return make(chan struct{}, max(1, connections)) }

// enter takes a place, and waits for it.
func enter(ctx context.Context, place chan struct{}) error {
	select {
	case place <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait waits in line for a place among the calls. Whoever would spend half of the time that is left in it is better off
// to know at once.
func (s *Store) wait(ctx context.Context) error {
	ahead := s.waiting.Add(1) - 1
	defer s.waiting.Add(-1)
	if ahead >= maxLine {
		return store.ErrBusy
	}
	if deadline, ok := ctx.Deadline(); ok && ahead > s.connections &&
		time.Until(deadline) < time.Duration(2*ahead*s.each.Load()/s.connections) {
		return store.ErrBusy
	}
	return enter(ctx, s.calls)
}

// admit gets a connection for a tenant's call, which waits for a place, or for Kontor's own work, which does not.
func (s *Store) admit(ctx context.Context, tenant string) (*conn, error) {
	c, began := &conn{s: s}, time.Now()
	if tenant != allTenants {
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
		c.place = s.calls
	}
	var err error
	if c.back, err = s.acquire(ctx, began); err != nil {
		c.makeRoom()
		return nil, err
	}
	c.Conn, c.began = c.back.Conn(), time.Now()
	return c, nil
}

// acquire gets a connection for who has waited since a time.
func (s *Store) acquire(ctx context.Context, began time.Time) (*pgxpool.Conn, error) {
	if s.closed.Load() {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		c, err := s.pool.Acquire(ctx)
		switch {
		case err == nil:
			return c, nil
		case s.closed.Load():
			return nil, errClosed
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		if code(err) == tooManyConnections {
			s.crowded.Store(time.Now().Add(crowdedEvery).UnixNano())
			err = fmt.Errorf("%w: %w", errCrowded, err)
		}
		if !errors.Is(err, errCrowded) || time.Since(began) > crowdedLimit || !pause(ctx, crowdedPause) {
			return nil, databaseError{fmt.Errorf("postgres: connect: %w", unlimited(ctx, err))}
		}
	}
}

// lay is for each connection that the pool makes. A server that has just refused one is not asked for others, which
// would cost it as much: whoever needs one waits for those that there are.
func (s *Store) lay(_ context.Context, config *pgx.ConnConfig) error {
	if time.Now().UnixNano() < s.crowded.Load() {
		return errCrowded
	}
	lay(config)
	return nil
}

// begin opens a transaction of a kind for a tenant, or for Kontor's own work. When the server was away, connections
// that nobody used meanwhile are found to be dead here, where nothing is lost yet: others are tried.
func (s *Store) begin(ctx context.Context, kind, tenant string) (*conn, error) {
	for try := 1; ; try++ {
		c, err := s.admit(ctx, tenant)
		if err != nil {
			return nil, err
		}
		if err = c.open(ctx, kind, tenant); err == nil {
			return c, nil
		}
		c.end()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err = databaseError{fmt.Errorf("postgres: begin: %w", err)}
		if !lost(err) || try == lostTries {
			return nil, err
		}
		s.pool.Reset()
	}
}

// open begins a transaction. Of a setting that is local nothing outlives it.
func (c *conn) open(ctx context.Context, kind, tenant string) error {
	script := fmt.Sprintf("%s; SET LOCAL kontor.tenant = %s; SET LOCAL statement_timeout = %d; "+
		"SET LOCAL idle_in_transaction_session_timeout = %d", kind, literal(tenant), statementLimit.Milliseconds(),
		c.s.idle.Milliseconds())
	limited, cancel := c.s.limited(ctx)
	defer cancel()
	_, err := c.PgConn().Exec(limited, script).ReadAll()
	if c := code(err); c == readOnly || c == notInRecovery {
		return fmt.Errorf("%w: %w", errStandby, err)
	}
	return unlimited(ctx, err)
}

// limited gives a context for one statement, whose answer does not come when the server is frozen.
func (s *Store) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.silence)
}

// unlimited tells an error of a statement that the server left without an answer from one of the caller's deadline.
func unlimited(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %v", errSilent, err) //nolint:errorlint // It would be taken for the caller's deadline.
	}
	return err
}

// anew ends a transaction that reads and begins another one, which has the state of now.
func (c *conn) anew(ctx context.Context, kind, tenant string) error {
	limited, cancel := c.s.limited(ctx)
	defer cancel()
	if _, err := c.PgConn().Exec(limited, "ROLLBACK").ReadAll(); err != nil {
		return unlimited(ctx, err)
	}
	return c.open(ctx, kind, tenant)
}

// literal writes a text into a statement. Backslashes are no more than that: see fit.
func literal(text string) string {
	return "'" + strings.ReplaceAll(plain(text), "'", "''") + "'"
}

// plain gives a text as PostgreSQL can keep it: valid UTF-8 without the character 0. Callers may send others, and find
// nothing by them.
func plain(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// end rolls back what was not committed, and gives the connection back.
func (c *conn) end() {
	if !c.over && !c.IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), endLimit)
		defer cancel()
		if _, err := c.PgConn().Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
			_ = c.Close(ctx) // The server ends the transaction with it.
		}
	}
	c.leave()
}

// leave gives the connection back to the pool, once.
func (c *conn) leave() {
	if c.back == nil {
		return
	}
	held := int64(time.Since(c.began))
	c.s.each.Add((held - c.s.each.Load()) / eachWeight)
	c.back.Release()
	c.back = nil
	c.makeRoom()
}

// makeRoom lets another call have this one's place.
func (c *conn) makeRoom() {
	if c.place != nil {
		<-c.place
	}
}

const (
	// aloneIdle is how long a transaction that is alone may do nothing: others that begin wait for it.
	aloneIdle = time.Minute
	// inUseEvery is how long is waited between two tries to change tables that are in use, so that those who serve get
	// on meanwhile; inUseLimit how long is tried.
	inUseEvery, inUseLimit = 3 * time.Second, time.Minute
)

// alone runs fn in one transaction, while no other process does so with this database: for what is made once. It runs
// fn again when that meets tables that are in use.
func (s *Store) alone(ctx context.Context, fn func(*pgx.Conn) error) error {
	for began := time.Now(); ; {
		err := s.aloneOnce(ctx, fn)
		if !errors.Is(err, errInUse) || time.Since(began) > inUseLimit {
			return err
		}
		timer := time.NewTimer(inUseEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

func (s *Store) aloneOnce(ctx context.Context, fn func(*pgx.Conn) error) error {
	back, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer back.Release()
	// Whatever the server's defaults are: what is read after the lock is as those left it who had it before.
	kind := pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}
	return pgx.BeginTxFunc(ctx, back, kind, func(t pgx.Tx) error {
		// The lock goes with the transaction. Schemas of one database are databases to us.
		for _, statement := range []string{
			"SELECT pg_advisory_xact_lock(hashtextextended('kontor ' || current_schema(), 0))",
			"SET LOCAL kontor.tenant = '*'",
			fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", aloneIdle.Milliseconds()),
		} {
			if _, err := t.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return fn(t.Conn())
	})
}

// oldest is the first version of the server that has all that is used here.
const oldest = 140000

// fit refuses a server that is too old, or set such that it loses what it acknowledged when it is killed.
func fit(ctx context.Context, c *pgx.Conn) error {
	var version int
	if err := c.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version < oldest {
		return fmt.Errorf("%w: it must be PostgreSQL %d or newer", ErrServer, oldest/10000)
	}
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit", "standard_conforming_strings"} {
		var value string
		if err := c.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return err
		}
		if value == "off" {
			return fmt.Errorf("%w: %s must not be off", ErrServer, name)
		}
	}
	return nil
}

// permitted refuses a role without the rights that serving takes, such as to a table that came with a migration. Else
// the calls that need them would fail one by one, while the gateway seems to be ready.
func permitted(ctx context.Context, c *pgx.Conn) error {
	var tables []string
	for _, o := range expected() {
		if o.kind == "table" && o.name != "schema_migrations" { // which is read alone
			tables = append(tables, o.name)
		}
	}
	const query = `SELECT relname::text FROM pg_class
		WHERE relnamespace = current_schema()::regnamespace AND relname = ANY($1)
			AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
				AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
		ORDER BY 1`
	rows, err := c.Query(ctx, query, tables)
	if err != nil {
		return err
	}
	lacking, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err == nil && len(lacking) > 0 {
		err = fmt.Errorf("permission denied for table %s: who serves must have SELECT, INSERT, UPDATE and DELETE",
			strings.Join(lacking, ", "))
	}
	return err
}
