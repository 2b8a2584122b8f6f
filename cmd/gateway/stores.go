package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/postgres"
	"kontor.dev/kontor/internal/store/sqlite"
)

// stores are the kinds of database that the gateway can use, by the scheme of their address. A further one is one
// more entry.
var stores = []store.Driver{
	{
		Scheme: "sqlite", Form: "sqlite:<path>", Place: placeSQLite, Open: openSQLite,
		Folder: func(path string) string { return filepath.Dir(filepath.FromSlash(path)) },
		Usable: func(path string) error { return sqlite.Usable(filepath.FromSlash(path)) },
		OpenArchive: func(ctx context.Context, path string) (store.Archive, error) {
			return sqlite.OpenReadOnly(ctx, filepath.FromSlash(path))
		},
		Restore: func(
			ctx context.Context, path string, key *keys.StoreKey, backup store.Backup,
		) (store.Restored, error) {
			return sqlite.Restore(ctx, filepath.FromSlash(path), key, backup)
		},
		Source: func(ctx context.Context, path string, key *keys.StoreKey) (store.Source, error) {
			source, err := sqlite.OpenSource(ctx, filepath.FromSlash(path), key)
			if err != nil {
				return nil, err
			}
			return source, nil
		},
		Migrate: func(ctx context.Context, path string) (from, to int, err error) {
			return sqlite.Migrate(ctx, filepath.FromSlash(path))
		},
	},
	{
		Scheme: "postgres", Alias: "postgresql", // as PostgreSQL's own programs have it
		Form: postgres.Form, Place: placePostgres, Folder: func(string) string { return "" },
		Usable: func(string) error { return nil },
		Open: func(ctx context.Context, rest string, key *keys.StoreKey) (store.Database, error) {
			db, err := postgres.Open(ctx, rest, key)
			if err != nil {
				return nil, err // and not a database without a store
			}
			return db, nil
		},
		OpenArchive: func(ctx context.Context, rest string) (store.Archive, error) {
			archive, err := postgres.OpenArchive(ctx, rest)
			if err != nil {
				return nil, err
			}
			return archive, nil
		},
		Restore: postgres.Restore, Fill: postgres.Fill, Migrate: postgres.Migrate,
	},
}

// known is what configurations can name: the kinds of providers and of stores.
var known = config.Options{Kinds: kinds, Store: func(address, folder string) (placed, dataFolder string, err error) {
	d, rest, err := driverIn(address, folder)
	if err != nil {
		return "", "", err
	}
	return d.Scheme + ":" + rest, d.Folder(rest), nil
}}

// driver finds the kind of database that an address names, and gives what stands behind the scheme.
func driver(address string) (store.Driver, string, error) { return driverIn(address, "") }

// driverIn is driver for an address whose path starts at a folder when it is not absolute.
func driverIn(address, folder string) (store.Driver, string, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	var forms []string
	for _, d := range stores {
		if scheme == d.Scheme || scheme != "" && scheme == d.Alias {
			placed, err := d.Place(rest, folder)
			return d, placed, err
		}
		forms = append(forms, d.Form)
	}
	return store.Driver{}, "", fmt.Errorf("must be %s", strings.Join(forms, " or "))
}

// openStore opens the store that the configuration names.
func openStore(ctx context.Context, cfg *config.Config) (store.Database, error) {
	d, rest, err := driver(cfg.Store.Reveal())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	key, err := keys.Parse(cfg.StoreKey)
	if err != nil {
		return nil, err
	}
	db, err := d.Open(ctx, rest, key)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return db, nil
}

// openArchive opens the store of a configuration for reading. Of the environment and files that the configuration
// refers to, it reads those of the given keys alone: who copies the store need not have the providers' secrets. Secrets
// that everybody on the machine can read stop it as little as they stop `serve`: a gateway that runs must be copied.
func openArchive(ctx context.Context, path string, reads ...string) (*config.Config, store.Archive, error) {
	options := known
	options.Reads, options.WarnExposed = reads, true
	cfg, err := config.Load(path, options)
	if err != nil {
		return nil, nil, err
	}
	d, rest, err := driver(cfg.Store.Reveal())
	if err != nil {
		return nil, nil, fmt.Errorf("store: %w", err)
	}
	archive, err := d.OpenArchive(ctx, rest)
	if err != nil {
		return nil, nil, fmt.Errorf("store: %w", err)
	}
	return cfg, archive, nil
}

func placeSQLite(path, folder string) (string, error) {
	if path == "" || strings.HasPrefix(path, "//") {
		return "", errors.New("must be sqlite:<path>")
	}
	if folder == "" || filepath.IsAbs(filepath.FromSlash(path)) {
		return path, nil
	}
	return filepath.ToSlash(filepath.Join(folder, filepath.FromSlash(path))), nil
}

// placePostgres leaves an address as it is: it has no path of ours.
func placePostgres(rest, _ string) (string, error) { return rest, postgres.Check(rest) }

// alone is a SQLite file that this process has to itself.
type alone struct {
	*sqlite.Store

	lock io.Closer
}

// openSQLite opens a file and keeps other gateways from it. Who has the lock knows that everybody is gone who was at
// work on the file before, so what they left behind is settled at once.
func openSQLite(ctx context.Context, path string, key *keys.StoreKey) (store.Database, error) {
	path = filepath.FromSlash(path)
	lock, err := sqlite.Lock(path)
	if err != nil {
		return nil, err
	}
	return openLocked(ctx, path, key, lock)
}

// openEmptyStore opens the SQLite file that a configuration names, empty: what was in it is removed, once this process
// has it to itself.
func openEmptyStore(ctx context.Context, cfg *config.Config) (store.Database, error) {
	_, rest, err := driver(cfg.Store.Reveal())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	key, err := keys.Parse(cfg.StoreKey)
	if err != nil {
		return nil, err
	}
	path := filepath.FromSlash(rest)
	lock, err := sqlite.Lock(path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, lock.Close())
		}
	}
	db, err := openLocked(ctx, path, key, lock)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return db, nil
}

// openLocked opens a file whose lock this process has. The lock is given back when that fails.
func openLocked(
	ctx context.Context, path string, key *keys.StoreKey, lock io.Closer,
) (store.Database, error) {
	db, err := sqlite.Open(ctx, path, key, sqlite.Options{Alone: true})
	if err == nil {
		if err = db.EndLeases(ctx); err == nil {
			return &alone{Store: db, lock: lock}, nil
		}
		err = errors.Join(err, db.Close())
	}
	return nil, errors.Join(err, lock.Close())
}

// Close closes the file, then lets others have it.
func (a *alone) Close() error { return errors.Join(a.Store.Close(), a.lock.Close()) }
