package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"kontor.dev/kontor/internal/store/columns"
	"kontor.dev/kontor/internal/store/vitals"
)

// pragma is a setting of a connection: how it is set, and how it reads when it is.
type pragma struct{ name, set, want string }

// busyTimeout, in milliseconds, is how long a reader waits for another process that restores the write-ahead log of one
// that was killed.
const busyTimeout = "5000"

// settings must hold on every connection.
var settings = []pragma{
	{"journal_mode", "WAL", "wal"},
	{"synchronous", "FULL", "2"},
	{"foreign_keys", "ON", "1"},
	{"secure_delete", "ON", "1"},
	{"trusted_schema", "OFF", "0"},
	// Else a commit needs a folder for passing files, outside of the store's. Where the system is read-only there is
	// none, and the store fails after a provider has done something.
	{"temp_store", "MEMORY", "2"},
}

// What the two kinds of connection have beside settings. A writer does not wait within SQLite, which would take its
// time between two attempts: see writer.begin.
var (
	readerSettings = append([]pragma{{"busy_timeout", busyTimeout, busyTimeout}, {"query_only", "ON", "1"}},
		settings...)
	writerSettings = append([]pragma{{"busy_timeout", "0", "0"}}, settings...)
)

// connector opens connections and refuses those that have not taken a setting: SQLite ignores what it cannot do.
type connector struct {
	driver.Connector
	settings []pragma
	// files must be found at the path before and after; nil for whatever is there.
	files *files
}

func newConnector(file string, settings []pragma, f *files) (*connector, error) {
	// SQLite must not make a file where one was taken away.
	base, err := sqlite.NewConnector(fileURI(file, "rw", settings))
	if err != nil {
		return nil, err
	}
	return &connector{Connector: base, settings: settings, files: f}, nil
}

// fileURI names a file for SQLite. The mode is "rw", or "ro" for reading alone; the file must exist.
func fileURI(file, mode string, settings []pragma) string {
	query := url.Values{"mode": {mode}}
	for _, p := range settings {
		query.Add("_pragma", p.name+"("+p.set+")")
	}
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") { // C:/...
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

// Connect implements driver.Connector. While another process makes the file, or restores its log, it waits.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	var conn driver.Conn
	err := whileBusy(ctx, func() (err error) {
		conn, err = c.connect(ctx)
		return err
	})
	return conn, err
}

func (c *connector) connect(ctx context.Context) (driver.Conn, error) {
	if c.files != nil {
		if err := c.files.check(); err != nil {
			return nil, err
		}
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if c.files != nil {
		if err := c.files.check(); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	for _, p := range c.settings {
		got, err := readPragma(ctx, conn, p.name)
		if err == nil && got != p.want {
			err = fmt.Errorf("%s is %q, not %q as it must be", p.name, got, p.want)
		}
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

func readPragma(ctx context.Context, conn driver.Conn, name string) (string, error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, "PRAGMA "+name, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	value := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(value); errors.Is(err, io.EOF) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return fmt.Sprint(value[0]), nil
}

// conn is a connection with its prepared statements. One goroutine has it at a time.
type conn struct {
	sql        *sql.Conn
	statements map[string]*sql.Stmt
	// health is told of damage; nil for nobody's.
	health *vitals.Health
	// broken says that its state is not known, so that it must not be used again.
	broken bool
}

// prepare returns the statement for a query. The queries are constants, or put together from few, so the number of
// statements is bounded.
func (c *conn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := c.statements[query]; ok {
		return s, nil
	}
	s, err := c.sql.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.statements[query] = s
	return s, nil
}

func (c *conn) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// begin opens a transaction that writes. While another process writes it waits, and is not interrupted once it has
// begun.
func (c *conn) begin(ctx context.Context) error {
	err := whileBusy(ctx, func() error {
		_, err := c.exec(context.Background(), "BEGIN IMMEDIATE")
		return err
	})
	if err != nil && code(err)&0xff != sqlite3.SQLITE_BUSY && ctx.Err() == nil {
		c.broken = true
	}
	return err
}

// rollback ends a transaction without its changes. Where SQLite has ended it already, which it does on some errors, and
// in doubt, the connection is given up.
func (c *conn) rollback() {
	if _, err := c.exec(context.Background(), "ROLLBACK"); err != nil {
		c.broken = true
	}
}

// epoch reads what the cursors of this database carry.
func (c *conn) epoch(ctx context.Context) (epoch string, err error) {
	return epoch, c.sql.QueryRowContext(ctx, "SELECT value FROM epoch").Scan(&epoch)
}

// made tells when the database was made.
func (c *conn) made(ctx context.Context) (time.Time, error) {
	var at int64
	err := c.sql.QueryRowContext(ctx, "SELECT apply_time FROM schema_migrations WHERE version = 1").Scan(&at)
	return columns.Instant(at), err
}

// frames tells how many pages SQLite believes to be in the write-ahead log. It moves none.
func (c *conn) frames() (frames int64, err error) {
	s, err := c.prepare(context.Background(), "PRAGMA wal_checkpoint(NOOP)")
	if err != nil {
		return 0, err
	}
	var busy, moved int64
	return frames, s.QueryRowContext(context.Background()).Scan(&busy, &frames, &moved)
}

// check reads the whole file and compares what it finds with itself, but not the indexes with their tables.
func (c *conn) check(ctx context.Context) error { return c.checkAs(ctx, "quick_check") }

// checkAs checks by one of SQLite's two ways.
func (c *conn) checkAs(ctx context.Context, way string) error {
	var finding string
	if err := c.sql.QueryRowContext(ctx, "PRAGMA "+way+"(1)").Scan(&finding); err != nil {
		return err
	}
	if finding != "ok" {
		return ErrCorrupt // The finding may quote content.
	}
	return nil
}

// truncateLog moves the write-ahead log into the file and empties it, once no reader needs it; for that it waits no
// longer than given. It tells whether it could. It is for the writer's connection.
func (c *conn) truncateLog(wait time.Duration) bool {
	ctx := context.Background()
	if _, err := c.sql.ExecContext(ctx, fmt.Sprint("PRAGMA busy_timeout = ", wait.Milliseconds())); err != nil {
		c.broken = true
		return false
	}
	var busy, pages, moved int
	err := c.sql.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	if _, err := c.sql.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		c.broken = true
	}
	return err == nil && busy == 0
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.sql.Close())...)
}

// pool holds connections for a fixed number of users at a time. A connection is opened when it is first needed.
type pool struct {
	db *sql.DB
	// free holds the connections that nobody uses; nil is one to be opened.
	free   chan *conn
	closed chan struct{}
	health *vitals.Health
}

// newDB gives what opens connections to a file, which must be the given one unless that is nil.
func newDB(file string, settings []pragma, f *files) (*sql.DB, error) {
	connector, err := newConnector(file, settings, f)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(-1) // What is closed here is closed: the pools keep those that nobody uses.
	return db, nil
}

// newConn opens a connection.
func newConn(ctx context.Context, db *sql.DB, h *vitals.Health) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open a connection: %w", err)
	}
	return &conn{sql: c, statements: map[string]*sql.Stmt{}, health: h}, nil
}

// newPool makes a pool of one connection to the file at a path, whatever that is.
func newPool(file string, settings []pragma) (*pool, error) {
	db, err := newDB(file, settings, nil)
	if err != nil {
		return nil, err
	}
	return poolOf(db, 1, nil), nil
}

// poolOf makes a pool.
func poolOf(db *sql.DB, size int, h *vitals.Health) *pool {
	p := &pool{db: db, free: make(chan *conn, size), closed: make(chan struct{}), health: h}
	for range size {
		p.free <- nil
	}
	return p
}

// usable tells whether a connection may be waited for.
func (p *pool) usable(ctx context.Context) error {
	select {
	case <-p.closed:
		return errClosed
	default:
		return ctx.Err()
	}
}

// get waits for a connection. Those who wait get theirs in the order in which they came.
func (p *pool) get(ctx context.Context) (*conn, error) {
	if err := p.usable(ctx); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, errClosed
	case c := <-p.free:
		if c != nil {
			return c, nil
		}
		conn, err := newConn(ctx, p.db, p.health)
		if err != nil {
			p.health.NoteRead(err)
			p.free <- nil
		}
		return conn, err
	}
}

// put gives a connection back.
func (p *pool) put(c *conn) {
	if c.broken {
		_ = c.close() // It failed before; its user has been told.
		c = nil
	}
	p.free <- c
}

// close waits for all connections and closes them.
func (p *pool) close() error {
	close(p.closed)
	var errs []error
	for range cap(p.free) {
		if c := <-p.free; c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(append(errs, p.db.Close())...)
}

// Another process that has the file's lock is asked again soon at first, then less often, so that whoever waits finds
// the short time between two transactions of a busy one.
const (
	busyFirst, busyMost = 200 * time.Microsecond, 2 * time.Millisecond
	// busyLimit is how long is waited for a lock at most.
	busyLimit = 10 * time.Second
)

// whileBusy runs do again until it no longer fails because another process has the file, within busyLimit and the
// context.
func whileBusy(ctx context.Context, do func() error) error {
	limit := time.Now().Add(busyLimit)
	for wait := busyFirst; ; wait = min(wait*3/2, busyMost) {
		err := do()
		if code(err)&0xff != sqlite3.SQLITE_BUSY || time.Now().After(limit) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// code is SQLite's code for an error, 0 for an error that is not SQLite's.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// asCorrupt adds ErrCorrupt to what SQLite says about a file that is no intact database.
func asCorrupt(err error) error {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}
