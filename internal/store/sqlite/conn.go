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
)

// pragma is a setting of a connection: how it is set, and how it reads when it is.
type pragma struct{ name, set, want string }

// busyTimeout, in milliseconds, is how long to wait for another program that uses the file in spite of the lock, such as a backup.
const busyTimeout = "5000"

// settings must hold on every connection. busy_timeout comes first: setting journal_mode may have to wait.
var settings = []pragma{
	{"busy_timeout", busyTimeout, busyTimeout},
	{"journal_mode", "WAL", "wal"},
	{"synchronous", "FULL", "2"},
	{"foreign_keys", "ON", "1"},
	{"secure_delete", "ON", "1"},
	{"trusted_schema", "OFF", "0"},
}

// connector opens connections and refuses those that have not taken a setting: SQLite ignores what it cannot do.
type connector struct {
	driver.Connector
	settings []pragma
}

func newConnector(file string, settings []pragma) (*connector, error) {
	query := url.Values{}
	for _, p := range settings {
		query.Add("_pragma", p.name+"("+p.set+")")
	}
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") { // C:/...
		path = "/" + path
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	base, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	return &connector{Connector: base, settings: settings}, nil
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
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
	// broken says that its state is not known, so that it must not be used again.
	broken bool
}

// prepare returns the statement for a query. The queries are constants, or put together from few, so the number of statements is bounded.
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

// rollback ends a transaction without its changes. Where SQLite has ended it already, which it does on some errors, and in doubt, the
// connection is given up.
func (c *conn) rollback() {
	if _, err := c.exec(context.Background(), "ROLLBACK"); err != nil {
		c.broken = true
	}
}

// check reads the whole file and compares what it finds with itself.
func (c *conn) check(ctx context.Context) error {
	var finding string
	if err := c.sql.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&finding); err != nil {
		return err
	}
	if finding != "ok" {
		return ErrCorrupt // The finding may quote content.
	}
	return nil
}

// truncateLog moves the write-ahead log into the file and empties it, once no reader needs it; for that it waits no longer than given. It tells
// whether it could.
func (c *conn) truncateLog(wait time.Duration) bool {
	ctx := context.Background()
	if _, err := c.sql.ExecContext(ctx, fmt.Sprint("PRAGMA busy_timeout = ", wait.Milliseconds())); err != nil {
		c.broken = true
		return false
	}
	var busy, pages, moved int
	err := c.sql.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	if _, err := c.sql.ExecContext(ctx, "PRAGMA busy_timeout = "+busyTimeout); err != nil {
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
}

func newPool(file string, size int, settings []pragma) (*pool, error) {
	connector, err := newConnector(file, settings)
	if err != nil {
		return nil, err
	}
	p := &pool{db: sql.OpenDB(connector), free: make(chan *conn, size), closed: make(chan struct{})}
	p.db.SetMaxIdleConns(-1) // What is closed here is closed: the idle ones are in free.
	for range size {
		p.free <- nil
	}
	return p, nil
}

// get waits for a connection. Those who wait get theirs in the order in which they came.
func (p *pool) get(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-p.closed:
		return nil, errClosed
	default:
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
		conn, err := p.open(ctx)
		if err != nil {
			p.free <- nil
			return nil, fmt.Errorf("sqlite: open a connection: %w", err)
		}
		return conn, nil
	}
}

// tryGet returns an open connection if one is free.
func (p *pool) tryGet() *conn {
	select {
	case c := <-p.free:
		if c == nil {
			p.free <- nil
		}
		return c
	default:
		return nil
	}
}

func (p *pool) open(ctx context.Context) (*conn, error) {
	c, err := p.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{sql: c, statements: map[string]*sql.Stmt{}}, nil
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
