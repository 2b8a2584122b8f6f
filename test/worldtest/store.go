package worldtest

import (
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
	base := os.Getenv(PostgresVariable)
	if base == "" {
		return "", errors.New(PostgresVariable + " is not set: make test-postgres, or scripts/postgres.sh <command>, " +
			"starts a server and sets it")
	}
	at, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(dir))
	schema := "world_" + hex.EncodeToString(sum[:8])
	ctx := context.Background()
	c, err := pgx.Connect(ctx, base)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	if _, err := c.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+schema); err != nil {
		return "", err
	}
	query := at.Query()
	query.Set("search_path", schema)
	at.RawQuery = query.Encode()
	return at.String(), nil
}
