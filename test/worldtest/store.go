package worldtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/postgres"
	"kontor.dev/kontor/internal/store/sqlite"
)

// file is the SQLite file of the gateway that has a folder.
func file(dir string) string { return filepath.Join(dir, "kontor.db") }

// files are it and what lies beside it.
func files(dir string) ([]string, error) { return filepath.Glob(file(dir) + "*") }

// storeIn gives the address of the store of the gateway that has a folder, which stays the same when it starts again.
// On PostgreSQL it is a schema, which goes with the server.
func storeIn(ctx context.Context, dir string) (address string, err error) {
	if err := checkStores(); err != nil {
		return "", err
	}
	if Stores() == SQLite {
		return "sqlite:" + file(dir), nil
	}
	sum := sha256.Sum256([]byte(dir))
	return Schema(ctx, os.Getenv(PostgresVariable), "world_"+hex.EncodeToString(sum[:8]))
}

// Schema makes a schema in the database at an address, unless it is there, and gives the address of a store in it.
func Schema(ctx context.Context, base, name string) (address string, err error) {
	if base == "" {
		return "", errors.New(PostgresVariable + " is not set: make test-postgres, or scripts/postgres.sh <command>, " +
			"starts a server and sets it")
	}
	at, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	c, err := pgx.Connect(ctx, base)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	if _, err := c.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+name); err != nil {
		return "", err
	}
	query := at.Query()
	query.Set("search_path", name)
	at.RawQuery = query.Encode()
	return at.String(), nil
}

// OpenStore opens the store of the gateway that has a folder with a store key, or makes it. Nobody else may have a
// SQLite file open.
func OpenStore(ctx context.Context, dir string, key *keys.StoreKey) (store.Database, error) {
	address, err := storeIn(ctx, dir)
	if err != nil {
		return nil, err
	}
	scheme, rest, _ := strings.Cut(address, ":")
	if scheme == "sqlite" {
		db, err := sqlite.Open(ctx, rest, key, sqlite.Options{Alone: true})
		if err != nil {
			return nil, err // and not a database without a store
		}
		return db, nil
	}
	db, err := postgres.Open(ctx, rest, key)
	if err != nil {
		return nil, err
	}
	return db, nil
}

// StoreKey gives the store key of the gateway that has a folder.
func StoreKey(dir string) (*keys.StoreKey, error) {
	text, err := os.ReadFile(filepath.Join(dir, "store_key.secret"))
	if err != nil {
		return nil, err
	}
	return keys.Parse(secret.New(strings.TrimSpace(string(text))))
}

// CopyStore copies the store of a running gateway, and gives a folder for OpenStore: that of the copy, or on PostgreSQL
// the gateway's own, whose store others may open, too.
func CopyStore(dir string) (copied string, err error) {
	if Stores() == Postgres {
		return dir, nil
	}
	names, err := files(dir)
	if err != nil {
		return "", err
	}
	copied = filepath.Join(dir, "copy")
	if err := os.MkdirAll(copied, 0o700); err != nil {
		return "", err
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(copied, filepath.Base(name)), content, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	return copied, nil
}

// Stored gives all bytes of the store of the gateway that has a folder, as somebody finds them who copies it: its
// files, or the rows of its tables.
func Stored(ctx context.Context, dir string) (all []byte, err error) {
	if Stores() == SQLite {
		names, err := files(dir)
		for _, name := range names {
			content, e := os.ReadFile(name)
			all, err = append(all, content...), errors.Join(err, e)
		}
		return all, err
	}
	address, err := storeIn(ctx, dir)
	if err != nil {
		return nil, err
	}
	c, err := pgx.Connect(ctx, everyTenants(address))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	rows, err := c.Query(ctx, "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()")
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	for _, table := range tables {
		copied := "COPY (TABLE " + table + ") TO STDOUT (FORMAT binary)"
		if _, err := c.PgConn().CopyTo(ctx, &content, copied); err != nil {
			return nil, err
		}
	}
	return content.Bytes(), nil
}

// Settled waits until the logs and audit trails show all that was committed. On PostgreSQL they show it together with
// all that was begun before, of whoever has a store in the same server.
func Settled(ctx context.Context) (err error) {
	if Stores() == SQLite {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	c, err := pgx.Connect(ctx, os.Getenv(PostgresVariable))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	var until, now int64
	const query = "SELECT pg_snapshot_%s(pg_current_snapshot())::text::bigint"
	if err := c.QueryRow(ctx, fmt.Sprintf(query, "xmax")).Scan(&until); err != nil {
		return err
	}
	for now < until {
		if err := c.QueryRow(ctx, fmt.Sprintf(query, "xmin")).Scan(&now); err != nil {
			return err
		}
	}
	return nil
}

// everyTenants makes an address one whose connections see the rows of all tenants.
func everyTenants(address string) string { return address + "&kontor.tenant=*" }

// Rows opens the tables of the store of the gateway that has a folder for statements of a test's own, beside who else
// has it open.
func Rows(ctx context.Context, dir string) (*sql.DB, error) {
	if Stores() == SQLite {
		return sql.Open("sqlite", file(dir))
	}
	address, err := storeIn(ctx, dir)
	if err != nil {
		return nil, err
	}
	return sql.Open("pgx", everyTenants(address))
}

// ServersLog gives what PostgreSQL has logged, for all gateways that it keeps stores of; nothing with SQLite. A server
// logs the statements that failed.
func ServersLog() ([]byte, error) {
	if Stores() == SQLite {
		return nil, nil
	}
	return os.ReadFile(os.Getenv(serversLog))
}
