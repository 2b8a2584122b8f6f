package worldtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

// What the environment says about the gateways' stores: StoreVariable is "postgres" for schemas in the database that
// PostgresVariable names, as scripts/postgres.sh sets it; else they are SQLite files.
const (
	StoreVariable    = "KONTOR_TEST_STORE"
	PostgresVariable = "KONTOR_TEST_POSTGRES"
)

// storeIn gives the address of the store of the gateway that has a folder, which stays the same when it starts again.
func storeIn(dir string) (address string, err error) {
	switch os.Getenv(StoreVariable) {
	case "":
		return "sqlite:" + filepath.Join(dir, "kontor.db"), nil
	case "postgres":
	default:
		return "", errors.New(StoreVariable + " must be empty or postgres")
	}
	sum := sha256.Sum256([]byte(dir))
	return Schema(context.Background(), os.Getenv(PostgresVariable), "world_"+hex.EncodeToString(sum[:8]))
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

// Stored gives all bytes of the store of the gateway that has a folder, as somebody finds them who copies it.
func Stored(dir string) (all []byte, err error) {
	if os.Getenv(StoreVariable) == "" {
		files, err := filepath.Glob(filepath.Join(dir, "kontor.db*"))
		for _, file := range files {
			content, e := os.ReadFile(file)
			all, err = append(all, content...), errors.Join(err, e)
		}
		return all, err
	}
	address, err := storeIn(dir)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	c, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	if _, err := c.Exec(ctx, "SET kontor.tenant = '*'"); err != nil {
		return nil, err
	}
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
